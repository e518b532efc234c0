//! Queues as actions use them: their slots, and the reservation of the next.
//!
//! Owns the reading of a queue's week as a schedule. Must not touch posts.
//! Invariant: a slot is reserved in the transaction that uses it.

use so_engine::{
    plugin::{ActionError, LocalContext, LocalError},
    schedule::{
        CompiledSchedule, Occurrence, Schedule, ScheduleError, Weekday, WeeklySlot, next_free_slot,
    },
};
use so_model::{
    Timestamp,
    id::{PostId, QueueId},
};
use so_store::{queue_slots, queues, queues::Queue};

use crate::params;

/// Reserved slots looked at; as many as are searched for a free one.
const TAKEN_MAX: i64 = 10_000;
/// Slots that others may take while one is being reserved.
const LOST_RACES_MAX: usize = 50;

/// A queue's slots as a schedule.
pub fn schedule(queue: &Queue) -> Result<CompiledSchedule, ScheduleError> {
    let slots = queue.doc.slots.iter().enumerate();
    let slots: Result<Vec<WeeklySlot>, ScheduleError> = slots
        .map(|(index, slot)| {
            let weekday = weekday(&slot.weekday).ok_or_else(|| {
                ScheduleError::new(
                    format!("/slots/{index}/weekday"),
                    "the value is no weekday",
                    "write mon, tue, wed, thu, fri, sat or sun",
                )
            })?;
            Ok(WeeklySlot {
                weekday,
                time: slot.time.clone(),
            })
        })
        .collect();
    Schedule::Slots {
        zone: queue.doc.time_zone.clone(),
        slots: slots?,
    }
    .compile()
}

fn weekday(name: &str) -> Option<Weekday> {
    Some(match name {
        "mon" => Weekday::Monday,
        "tue" => Weekday::Tuesday,
        "wed" => Weekday::Wednesday,
        "thu" => Weekday::Thursday,
        "fri" => Weekday::Friday,
        "sat" => Weekday::Saturday,
        "sun" => Weekday::Sunday,
        _ => return None,
    })
}

/// The queue that a field names by id or by name.
pub(crate) async fn find(
    cx: &mut LocalContext<'_>,
    field: &str,
    text: &str,
) -> Result<Queue, LocalError> {
    let found = match text.trim().parse::<QueueId>() {
        Ok(id) => queues::find(cx.tx, cx.workspace, id).await?,
        Err(_) => queues::find_by_name(cx.tx, cx.workspace, text.trim()).await?,
    };
    found.ok_or_else(|| {
        ActionError::fail(
            "queue.not_found",
            format!("{field}: there is no queue {}", params::shown(text)),
        )
        .next_step("make the queue, or name another in the step")
        .into()
    })
}

/// Reserves the first free slot after a moment for a post.
pub(crate) async fn reserve(
    cx: &mut LocalContext<'_>,
    queue: &Queue,
    post: PostId,
    after: Timestamp,
) -> Result<Occurrence, LocalError> {
    let slots = schedule(queue).map_err(|error| {
        ActionError::fail(
            "queue.slots",
            format!("the queue {} cannot be used: {}", queue.name, error.reason),
        )
        .next_step(error.next_step)
    })?;
    let mut taken =
        queue_slots::taken_after(cx.tx, cx.workspace, queue.id, after, TAKEN_MAX).await?;
    for _ in 0..LOST_RACES_MAX {
        let Some(slot) = next_free_slot(&slots, after.micros(), &taken) else {
            break;
        };
        let at = Timestamp::from_micros(slot.at_micros);
        if queue_slots::reserve(cx.tx, cx.workspace, queue.id, at, post).await? {
            return Ok(slot);
        }
        taken.insert(slot.at_micros);
    }
    Err(ActionError::later(
        "queue.full",
        format!("the queue {} has no free slot", queue.name),
    )
    .next_step("add slots to the queue, or take posts out of it")
    .into())
}

/// A reserved slot as outputs show it.
pub(crate) fn shown(slot: &Occurrence) -> serde_json::Value {
    serde_json::json!({
        "at": Timestamp::from_micros(slot.at_micros), "local": slot.local, "zone": slot.zone,
        "explanation": slot.explanation()
    })
}
