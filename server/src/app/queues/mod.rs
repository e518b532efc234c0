//! Queues: weekly slots that posts are put into.
//!
//! Owns a queue's timer. Never publishes. Invariants: a change raises the generation and replaces the
//! timer in one transaction; the posts of a paused queue have no timer, so that none goes out.

mod pause;
mod slots;

pub use slots::upcoming;

use serde_json::json;
use so_engine::{
    loops::TIMER_QUEUE,
    schedule::{self, Schedule},
};
use so_model::{
    IdSource as _, Timestamp,
    api::queue::{ChangeQueue, CreateQueue, QueueList, QueueQuery, QueueSlot, QueueView, SlotDay},
    id::{QueueId, WorkspaceId, kind},
    problem::{FieldError, Problem},
};
use so_store::{
    Page, StoreError, Tx, queues,
    queues::{Queue, QueueDoc, WeeklySlot},
    timers,
    timers::Timer,
    workspaces,
};

use super::{
    App,
    accounts::strangers,
    change::{Change, PageAsk},
    failure::{Failure, Outcome},
    posts::schedule_error,
    text,
};

/// Queues of one workspace.
const QUEUES_MAX: i64 = 200;
/// Accounts a queue posts to.
const ACCOUNTS_MAX: usize = 100;

const DAYS: [(SlotDay, &str, schedule::Weekday); 7] = [
    (SlotDay::Monday, "mon", schedule::Weekday::Monday),
    (SlotDay::Tuesday, "tue", schedule::Weekday::Tuesday),
    (SlotDay::Wednesday, "wed", schedule::Weekday::Wednesday),
    (SlotDay::Thursday, "thu", schedule::Weekday::Thursday),
    (SlotDay::Friday, "fri", schedule::Weekday::Friday),
    (SlotDay::Saturday, "sat", schedule::Weekday::Saturday),
    (SlotDay::Sunday, "sun", schedule::Weekday::Sunday),
];

/// The schedule of a queue's slots; none without slots.
pub(crate) fn schedule_of(doc: &QueueDoc) -> Option<Schedule> {
    let slot = |slot: &WeeklySlot| {
        let (_, _, weekday) = DAYS
            .into_iter()
            .find(|(_, stored, _)| *stored == slot.weekday)?;
        Some(schedule::WeeklySlot {
            weekday,
            time: slot.time.clone(),
        })
    };
    let slots: Vec<_> = doc.slots.iter().filter_map(slot).collect();
    (!slots.is_empty()).then(|| Schedule::Slots {
        zone: doc.time_zone.clone(),
        slots,
    })
}

fn view(queue: Queue) -> QueueView {
    let slot = |slot: WeeklySlot| {
        let (weekday, ..) = DAYS
            .into_iter()
            .find(|(_, stored, _)| *stored == slot.weekday)?;
        Some(QueueSlot {
            weekday,
            time: slot.time,
        })
    };
    QueueView {
        id: queue.id,
        name: queue.name,
        is_paused: queue.is_paused,
        generation: queue.generation,
        accounts: queue.doc.accounts,
        time_zone: queue.doc.time_zone,
        slots: queue.doc.slots.into_iter().filter_map(slot).collect(),
        created_at: queue.created_at,
    }
}

fn stored_slots(slots: Vec<QueueSlot>) -> Vec<WeeklySlot> {
    let stored = |slot: QueueSlot| {
        let (_, name, _) = DAYS.into_iter().find(|(day, ..)| *day == slot.weekday)?;
        Some(WeeklySlot {
            weekday: name.to_string(),
            time: slot.time,
        })
    };
    slots.into_iter().filter_map(stored).collect()
}

/// A page of queues, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &QueueQuery) -> Outcome<QueueList> {
    let page = PageAsk::of::<kind::Queue>(query.cursor.as_deref(), query.limit)?;
    let found = queues::list(&mut app.reader(), workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |queue| queue.id.to_string());
    Ok(QueueList {
        items: found.items.into_iter().map(view).collect(),
        next_cursor: found.next_cursor,
    })
}

/// A queue.
pub async fn get(app: &App, workspace: WorkspaceId, id: QueueId) -> Outcome<QueueView> {
    let found = queues::find(&mut app.reader(), workspace, id).await?;
    found.map(view).ok_or_else(|| Failure::not_found("queue"))
}

/// Makes a queue.
pub async fn create(app: &App, workspace: WorkspaceId, request: CreateQueue) -> Outcome<QueueView> {
    let mut change = Change::begin(app, workspace).await?;
    if queues::list(&mut change.tx, workspace, "", QUEUES_MAX)
        .await?
        .len() as i64
        >= QUEUES_MAX
    {
        return Err(Failure::new(
            409,
            "queue.too_many",
            "The workspace has as many queues as it may have",
        )
        .next_step("Delete a queue first."));
    }
    let zone = match request.time_zone {
        Some(zone) => zone,
        None => workspaces::find(&mut change.tx, workspace)
            .await?
            .map(|found| found.time_zone)
            .unwrap_or_default(),
    };
    let mut queue = Queue {
        id: app.engine.ids.new_id(),
        workspace,
        name: request.name,
        is_paused: false,
        generation: 1,
        doc: QueueDoc {
            accounts: request.accounts,
            time_zone: zone,
            slots: stored_slots(request.slots),
        },
        created_at: change.now,
    };
    check(&mut change.tx, &mut queue).await?;
    queues::insert(&mut change.tx, &queue)
        .await
        .map_err(taken)?;
    let now = change.now;
    set_timer(app, &mut change.tx, &queue, now).await?;
    change.touch("queue", queue.id);
    change.commit().await?;
    Ok(view(queue))
}

/// Changes a queue.
pub async fn change(
    app: &App,
    workspace: WorkspaceId,
    id: QueueId,
    request: ChangeQueue,
) -> Outcome<QueueView> {
    let mut change = Change::begin(app, workspace).await?;
    let found = queues::find(&mut change.tx, workspace, id).await?;
    let former = found.ok_or_else(|| Failure::not_found("queue"))?;
    if let Some(expected) = request
        .generation
        .filter(|expected| *expected != former.generation)
    {
        return Err(outdated(expected, former.generation));
    }
    let mut queue = former.clone();
    queue.name = request.name.unwrap_or(queue.name);
    queue.doc.time_zone = request.time_zone.unwrap_or(queue.doc.time_zone);
    queue.doc.accounts = request.accounts.unwrap_or(queue.doc.accounts);
    if let Some(slots) = request.slots {
        queue.doc.slots = stored_slots(slots);
    }
    queue.is_paused = request.is_paused.unwrap_or(queue.is_paused);
    check(&mut change.tx, &mut queue).await?;
    let queue = queues::update(&mut change.tx, &queue, former.generation)
        .await
        .map_err(taken)?;
    let now = change.now;
    set_timer(app, &mut change.tx, &queue, now).await?;
    if queue.is_paused != former.is_paused {
        pause::follow(app, &mut change, &queue).await?;
    }
    change.touch("queue", id);
    change.commit().await?;
    Ok(view(queue))
}

/// Deletes a queue; its posts keep their due times.
pub async fn delete(app: &App, workspace: WorkspaceId, id: QueueId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    let found = queues::find(&mut change.tx, workspace, id).await?;
    let mut queue = found.ok_or_else(|| Failure::not_found("queue"))?;
    // A paused queue's posts have no timer; without their queue they go out at their moments again.
    queue.is_paused = false;
    pause::release(app, &mut change, &queue).await?;
    timers::delete_for(&mut change.tx, TIMER_QUEUE, &id.to_string()).await?;
    queues::delete(&mut change.tx, workspace, id).await?;
    change.touch("queue", id);
    change.commit().await
}

fn outdated(expected: i64, current: i64) -> Failure {
    let error = FieldError::new(
        "/generation",
        format!("is {expected}, but the queue is at {current}"),
    );
    Problem::new(409, "queue.changed", "The queue was changed meanwhile")
        .detail(format!(
            "Its current generation is {current}; the change was made from {expected}."
        ))
        .next_step("Load it again and repeat the change.")
        .with_errors(vec![error.expected(current.to_string())])
        .into()
}

fn taken(error: StoreError) -> Failure {
    if error.is_conflict() {
        return Failure::new(409, "queue.name_taken", "Another queue has this name")
            .next_step("Choose another name.");
    }
    error.into()
}

async fn check(tx: &mut Tx, queue: &mut Queue) -> Outcome<()> {
    let mut errors = Vec::new();
    match text::name(&queue.name, "/name") {
        Ok(name) => queue.name = name,
        Err(error) => errors.push(error),
    }
    match text::time_zone(&queue.doc.time_zone, "/time_zone") {
        Ok(zone) => {
            queue.doc.time_zone = zone;
            let compiled = schedule_of(&queue.doc).map(|schedule| schedule.compile());
            errors.extend(
                compiled
                    .and_then(Result::err)
                    .map(|error| schedule_error(&error)),
            );
        }
        Err(error) => errors.push(error),
    }
    if queue.doc.accounts.len() > ACCOUNTS_MAX {
        errors.push(
            FieldError::new("/accounts", "are too many")
                .expected(format!("at most {ACCOUNTS_MAX}")),
        );
    }
    let chosen = &queue.doc.accounts[..queue.doc.accounts.len().min(ACCOUNTS_MAX)];
    errors.extend(strangers(tx, queue.workspace, chosen).await?);
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(errors))
    }
}

/// Makes the timer of a queue that of its present generation.
async fn set_timer(app: &App, tx: &mut Tx, queue: &Queue, now: Timestamp) -> Outcome<()> {
    timers::delete_for(tx, TIMER_QUEUE, &queue.id.to_string()).await?;
    let Some(schedule) = schedule_of(&queue.doc).filter(|_| !queue.is_paused) else {
        return Ok(());
    };
    let next = schedule
        .compile()
        .ok()
        .and_then(|compiled| compiled.next_after(now.micros()));
    let Some(next) = next else { return Ok(()) };
    let timer = Timer {
        id: app.engine.ids.new_id(),
        workspace: queue.workspace,
        kind: TIMER_QUEUE.into(),
        subject: queue.id.to_string(),
        slot: String::new(),
        generation: queue.generation,
        due_at: Timestamp::from_micros(next.at_micros),
        doc: json!({"schedule": schedule, "catch_up": {"policy": "skip"}}),
    };
    timers::put(tx, &timer).await?;
    Ok(())
}
