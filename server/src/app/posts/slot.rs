//! Putting posts into queues.
//!
//! Invariant: the slot is reserved in the transaction that gives the post its due time.

use so_engine::schedule::{MAX_SLOTS_LOOKED_AT, Occurrence, next_free_slot};
use so_model::{
    IdSource as _, Timestamp,
    api::post::{PostScheduled, QueuePost},
    event::kind,
    id::PostId,
    post::{Post, Variant},
};
use so_store::{Tx, queue_slots, queues, queues::Queue};

use super::{
    hold,
    schedule::{scheduled, set_due},
    write::finish,
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
    queues::schedule_of,
};

/// Slots that others may take from under our eyes before we give up.
const TRIES_MAX: usize = 20;

/// Puts a post into the next free slot of a queue.
pub async fn enqueue(
    app: &App,
    actor: Actor,
    id: PostId,
    request: &QueuePost,
) -> Outcome<PostScheduled> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    let queue = queues::find(&mut change.tx, actor.workspace, request.queue).await?;
    let queue = queue.ok_or_else(|| {
        Failure::field(
            "/queue",
            "is no queue of this workspace",
            "the id of a queue",
        )
    })?;
    if queue.is_paused {
        return Err(Failure::new(409, "queue.paused", "The queue is paused")
            .next_step("Let the queue go on first, or choose another one."));
    }
    if post.variants.is_empty() {
        post.variants = variants(app, &queue);
    }
    post.queue = Some(queue.id);
    // The slot it holds now counts as free, so that queueing twice does not drift.
    queue_slots::release_for_post(&mut change.tx, actor.workspace, id).await?;
    let now = change.now;
    let at = free_slot(&mut change.tx, &queue, now)
        .await?
        .ok_or_else(|| no_slot(&queue))?;
    let post = set_due(
        app,
        &mut change,
        actor,
        post,
        Timestamp::from_micros(at.at_micros),
    )
    .await?;
    let at = reserve(&mut change.tx, &queue, id, at).await?;
    let post = finish(change, post, kind::POST_SCHEDULED, actor).await?;
    Ok(scheduled(post, &at))
}

fn variants(app: &App, queue: &Queue) -> Vec<Variant> {
    let of = |account: &_| Variant {
        id: app.engine.ids.new_id(),
        account: *account,
        destination: None,
        content: None,
    };
    queue.doc.accounts.iter().map(of).collect()
}

// None when the queue has no slots, or all that one looks at are taken.
async fn free_slot(tx: &mut Tx, queue: &Queue, after: Timestamp) -> Outcome<Option<Occurrence>> {
    let compiled = schedule_of(&queue.doc).and_then(|schedule| schedule.compile().ok());
    let Some(compiled) = compiled else {
        return Ok(None);
    };
    let limit = i64::try_from(MAX_SLOTS_LOOKED_AT).unwrap_or(i64::MAX);
    let taken = queue_slots::taken_after(tx, queue.workspace, queue.id, after, limit).await?;
    Ok(next_free_slot(&compiled, after.micros(), &taken))
}

fn no_slot(queue: &Queue) -> Failure {
    if queue.doc.slots.is_empty() {
        return Failure::new(409, "queue.no_slots", "The queue has no slots")
            .next_step("Give the queue a weekday and a time.");
    }
    Failure::new(
        409,
        "queue.full",
        "Every slot of the queue is taken, as far as one can plan",
    )
    .next_step("Add slots to the queue, or choose another one.")
}

// In PostgreSQL another process may have reserved the slot since it was seen free.
async fn reserve(tx: &mut Tx, queue: &Queue, post: PostId, at: Occurrence) -> Outcome<Occurrence> {
    let moment = Timestamp::from_micros(at.at_micros);
    if queue_slots::reserve(tx, queue.workspace, queue.id, moment, post).await? {
        return Ok(at);
    }
    Err(Failure::new(
        409,
        "queue.slot_taken",
        "Somebody else took the slot at this moment",
    )
    .next_step("Send the request again; the next free slot is taken then."))
}

/// Gives a post another slot, within a transaction of the queue's; none when all are taken.
pub(crate) async fn take_slot(
    tx: &mut Tx,
    queue: &Queue,
    post: &Post,
    after: Timestamp,
) -> Outcome<Option<Timestamp>> {
    queue_slots::release_for_post(tx, queue.workspace, post.id).await?;
    let mut after = after;
    for _ in 0..TRIES_MAX {
        let Some(at) = free_slot(tx, queue, after).await? else {
            return Ok(None);
        };
        let moment = Timestamp::from_micros(at.at_micros);
        if queue_slots::reserve(tx, queue.workspace, queue.id, moment, post.id).await? {
            return Ok(Some(moment));
        }
        after = moment;
    }
    Ok(None)
}
