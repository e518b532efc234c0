//! The way through an approval: submitted, approved or sent back.
//!
//! Invariant: an approved post whose time has not passed is scheduled in the same transaction; one whose
//! time passed meanwhile is never sent late unasked.

use serde_json::json;
use so_model::{
    api::post::RejectPost,
    event::kind,
    id::PostId,
    post::{Post, PostState},
};
use so_store::{posts, queue_slots};

use super::{
    hold, ready::refuse_unready, refuse_frozen, schedule::set_timer, write::finish, wrong_state,
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Longest reason of a rejection.
const REASON_MAX: usize = 2000;

/// Sends a post for approval.
pub async fn submit(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    if !matches!(
        post.state,
        PostState::Draft | PostState::Missed | PostState::Failed
    ) {
        return Err(wrong_state(&post, "submitted"));
    }
    refuse_frozen(&mut change.tx, &post).await?;
    refuse_unready(app, &mut change.tx, &post).await?;
    post.state = PostState::PendingApproval;
    post.problem = None;
    post.due_at = post.due_at.filter(|due| *due > change.now);
    let post = store(app, &mut change, post).await?;
    finish(change, post, kind::POST_SUBMITTED, actor).await
}

/// Approves a post; one that has its time is scheduled.
pub async fn approve(app: &App, actor: Actor, id: PostId) -> Outcome<Post> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    if !matches!(post.state, PostState::Draft | PostState::PendingApproval) {
        return Err(wrong_state(&post, "approved"));
    }
    refuse_unready(app, &mut change.tx, &post).await?;
    post.problem = None;
    match post.due_at {
        Some(due) if due > change.now => post.state = PostState::Scheduled,
        Some(_) => {
            post.state = PostState::Approved;
            post.due_at = None;
            post.queue = None;
            post.problem =
                Some("Its time passed while it waited for approval. Give it another one.".into());
            queue_slots::release_for_post(&mut change.tx, actor.workspace, id).await?;
        }
        None => post.state = PostState::Approved,
    }
    let post = store(app, &mut change, post).await?;
    finish(change, post, kind::POST_APPROVED, actor).await
}

/// Sends a post back to its author.
pub async fn reject(app: &App, actor: Actor, id: PostId, request: &RejectPost) -> Outcome<Post> {
    let reason = request.reason.trim();
    let is_unfit = |c: char| c.is_control() && c != '\n';
    if reason.chars().count() > REASON_MAX || reason.chars().any(is_unfit) {
        return Err(Failure::field(
            "/reason",
            "is too long or no text",
            format!("at most {REASON_MAX} characters"),
        ));
    }
    let mut change = Change::begin(app, actor.workspace).await?;
    let mut post = hold(&mut change.tx, actor.workspace, id).await?;
    if !matches!(post.state, PostState::PendingApproval | PostState::Approved) {
        return Err(wrong_state(&post, "rejected"));
    }
    post.state = PostState::Draft;
    post.due_at = None;
    post.queue = None;
    post.problem = Some(reason.to_string()).filter(|reason| !reason.is_empty());
    queue_slots::release_for_post(&mut change.tx, actor.workspace, id).await?;
    let post = store(app, &mut change, post).await?;
    let data = json!({"post": post, "by": actor.user, "reason": reason});
    change.emit(kind::POST_REJECTED, id, data).await?;
    change.touch("post", id);
    change.commit().await?;
    Ok(post)
}

async fn store(app: &App, change: &mut Change, mut post: Post) -> Outcome<Post> {
    post.updated_at = change.now;
    let revision = post.revision;
    let post = posts::update(&mut change.tx, &post, revision).await?;
    set_timer(app, &mut change.tx, &post).await?;
    Ok(post)
}
