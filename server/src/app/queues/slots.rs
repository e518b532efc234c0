//! Slots to come, with the posts that hold them.
//!
//! Invariant: a moment that a post holds is shown even when the queue's slots no longer name it.

use std::collections::BTreeMap;

use so_engine::schedule::{Decision, Occurrence};
use so_model::{
    Timestamp,
    api::queue::{SlotList, SlotPost, SlotQuery, UpcomingSlot},
    id::{PostId, QueueId, WorkspaceId},
};
use so_store::{Sql, posts, queue_slots, queues};

use super::schedule_of;
use crate::app::{
    App,
    change::limit_of,
    failure::{Failure, Outcome},
};

/// Characters of a post's text shown in its slot.
const TEXT_SHOWN: usize = 200;

/// Slots to come.
pub async fn upcoming(
    app: &App,
    workspace: WorkspaceId,
    id: QueueId,
    query: &SlotQuery,
) -> Outcome<SlotList> {
    let limit = limit_of(query.limit)?;
    let mut reader = app.reader();
    let queue = queues::find(&mut reader, workspace, id).await?;
    let queue = queue.ok_or_else(|| Failure::not_found("queue"))?;
    let now = app.engine.now();
    let compiled = schedule_of(&queue.doc).and_then(|schedule| schedule.compile().ok());
    let coming = compiled
        .map(|compiled| compiled.occurrences(now.micros(), limit))
        .unwrap_or_default();
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let held = queue_slots::list(&mut reader, workspace, id, now, most).await?;
    let mut moments: BTreeMap<i64, (Option<Occurrence>, Option<PostId>)> = BTreeMap::new();
    for at in coming {
        moments.insert(at.at_micros, (Some(at), None));
    }
    for (at, post) in held {
        moments.entry(at.micros()).or_default().1 = Some(post);
    }
    let mut items = Vec::new();
    for (at, (occurrence, post)) in moments.into_iter().take(limit) {
        let post = match post {
            Some(post) => slot_post(&mut reader, workspace, post).await?,
            None => None,
        };
        items.push(slot(
            Timestamp::from_micros(at),
            occurrence,
            post,
            &queue.doc.time_zone,
        ));
    }
    Ok(SlotList { items })
}

fn slot(
    at: Timestamp,
    occurrence: Option<Occurrence>,
    post: Option<SlotPost>,
    zone: &str,
) -> UpcomingSlot {
    match occurrence {
        Some(seen) => UpcomingSlot {
            at,
            explanation: seen.explanation(),
            is_special: seen.decision != Decision::Normal,
            local: seen.local,
            post,
        },
        None => UpcomingSlot {
            at,
            local: local(at, zone),
            explanation: "Held by a post since before the slots were changed.".into(),
            is_special: true,
            post,
        },
    }
}

fn local(at: Timestamp, zone: &str) -> String {
    let zone: chrono_tz::Tz = zone.parse().unwrap_or(chrono_tz::UTC);
    at.to_chrono()
        .with_timezone(&zone)
        .format("%Y-%m-%dT%H:%M:%S")
        .to_string()
}

async fn slot_post(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: PostId,
) -> Outcome<Option<SlotPost>> {
    let found = posts::find(sql, workspace, id).await?;
    Ok(found.map(|post| SlotPost {
        id,
        state: post.state,
        text: post.content.text.chars().take(TEXT_SHOWN).collect(),
    }))
}
