//! What becomes of a queue's posts when it is paused, goes on or is deleted.
//!
//! Invariant: nothing that waited through a pause goes out late: a post whose slot has passed gets the
//! next free one, in the order of the slots.

use so_model::{
    Timestamp,
    event::kind,
    post::{Post, PostState},
    time::DAY,
};
use so_store::{posts, queue_slots, queues::Queue};

use crate::app::{
    App,
    change::Change,
    failure::Outcome,
    posts::{set_timer, take_slot},
};

/// Reservations looked at: years of a busy queue's slots to come.
const SLOTS_MAX: i64 = 10_000;
/// Reservations older than this belong to posts that went out long ago.
const PAST: i64 = 400 * DAY;

/// Posts that hold a slot of the queue and have not gone out, in order.
async fn waiting(change: &mut Change, queue: &Queue) -> Outcome<Vec<Post>> {
    let from = change.now.plus(-PAST);
    let held =
        queue_slots::list(&mut change.tx, queue.workspace, queue.id, from, SLOTS_MAX).await?;
    let mut found = Vec::new();
    for (at, id) in held {
        let post = posts::find_for_update(&mut change.tx, queue.workspace, id).await?;
        let waits = |post: &Post| {
            post.state == PostState::Scheduled
                && post.queue == Some(queue.id)
                && post.due_at == Some(at)
        };
        found.extend(post.filter(waits));
    }
    Ok(found)
}

/// Does for the posts what pausing or going on means.
pub(super) async fn follow(app: &App, change: &mut Change, queue: &Queue) -> Outcome<()> {
    for post in waiting(change, queue).await? {
        if queue.is_paused {
            let subject = post.id.to_string();
            so_store::timers::delete_for(&mut change.tx, so_engine::loops::TIMER_POST, &subject)
                .await?;
        } else {
            go_on(app, change, queue, post).await?;
        }
    }
    Ok(())
}

async fn go_on(app: &App, change: &mut Change, queue: &Queue, mut post: Post) -> Outcome<()> {
    if post.due_at.is_some_and(|due| due > change.now) {
        return set_timer(app, &mut change.tx, &post).await;
    }
    let now: Timestamp = change.now;
    let slot = take_slot(&mut change.tx, queue, &post, now).await?;
    post.due_at = slot;
    if slot.is_none() {
        post.state = PostState::Missed;
        post.queue = None;
        post.problem =
            Some("Its slot passed while the queue was paused, and no other is free.".into());
    }
    post.updated_at = now;
    let revision = post.revision;
    let post = posts::update(&mut change.tx, &post, revision).await?;
    set_timer(app, &mut change.tx, &post).await?;
    let event = if slot.is_some() {
        kind::POST_SCHEDULED
    } else {
        kind::POST_MISSED
    };
    change
        .emit(event, post.id, serde_json::json!({"post": post}))
        .await?;
    change.touch("post", post.id);
    Ok(())
}

/// Lets the posts stand on their own: each keeps its due time, one whose time has passed is missed.
pub(super) async fn release(app: &App, change: &mut Change, queue: &Queue) -> Outcome<()> {
    for mut post in waiting(change, queue).await? {
        post.queue = None;
        post.updated_at = change.now;
        let is_missed = post.due_at.is_some_and(|due| due <= change.now);
        if is_missed {
            post.state = PostState::Missed;
            post.problem = Some("Its slot passed while the queue was paused.".into());
        }
        let revision = post.revision;
        let post = posts::update(&mut change.tx, &post, revision).await?;
        set_timer(app, &mut change.tx, &post).await?;
        if is_missed {
            change
                .emit(
                    kind::POST_MISSED,
                    post.id,
                    serde_json::json!({"post": post}),
                )
                .await?;
        }
        change.touch("post", post.id);
    }
    Ok(())
}
