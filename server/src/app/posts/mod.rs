//! Posts: writing, approving, scheduling, repeating, deleting.
//!
//! Owns what people do with posts by hand. Never publishes: a due time makes the event `post.due`, and a
//! rule does the rest. Invariant: every change names the revision it was made from and becomes an event in
//! the same transaction; a post with publications is frozen.

mod approve;
mod check;
mod delete;
mod read;
mod ready;
mod recur;
mod schedule;
mod slot;
mod write;

pub use approve::{approve, reject, submit};
pub(in crate::app) use check::refuse_too_large;
pub use delete::delete;
pub use read::{counts, get, list, problems};
pub use recur::{clear_recurrence, set_recurrence};
pub(crate) use schedule::set_timer;
pub use schedule::{publish_now, schedule, unschedule};
pub use slot::enqueue;
pub(crate) use slot::take_slot;
pub use write::{change, create, duplicate};

use serde_json::{Value, json};
use so_engine::schedule::ScheduleError;
use so_model::{
    id::{PostId, WorkspaceId},
    post::{Post, PostState},
    problem::FieldError,
    workspace::Role,
};
use so_store::{Tx, posts, publications, workspaces};

use super::{
    failure::{Failure, Outcome},
    members::Actor,
};

/// The post, held until the transaction ends.
async fn hold(tx: &mut Tx, workspace: WorkspaceId, id: PostId) -> Outcome<Post> {
    posts::find_for_update(tx, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("post"))
}

/// What an event about a post that a person changed carries.
fn event_data(post: &Post, actor: Actor) -> Value {
    json!({"post": post, "by": actor.user})
}

/// Whether posts of a workspace need an approval.
async fn needs_approval(tx: &mut Tx, workspace: WorkspaceId) -> Outcome<bool> {
    let found = workspaces::find(tx, workspace).await?;
    Ok(found
        .ok_or_else(|| Failure::not_found("workspace"))?
        .approval_required)
}

/// Whether a post waits for an approval before it goes out.
///
/// What a missed or failed post says may never have been approved: it may have been missed while it waited.
/// Whoever may approve gives it a new time at once; from others it is submitted.
async fn waits_for_approval(tx: &mut Tx, actor: Actor, post: &Post) -> Outcome<bool> {
    let may_wait = match post.state {
        PostState::Draft => true,
        PostState::Missed | PostState::Failed => actor.role < Role::Admin,
        _ => false,
    };
    Ok(may_wait && needs_approval(tx, post.workspace).await?)
}

/// A post that was given to the networks can be published again, not written again.
async fn refuse_frozen(tx: &mut Tx, post: &Post) -> Outcome<()> {
    if !is_frozen(tx, post).await? {
        return Ok(());
    }
    Err(Failure::new(
        409,
        "post.frozen",
        "The post was given to its networks already",
    )
    .detail("Its publications hold the content as it was.")
    .next_step("Try the failed publications again, or duplicate the post and change the copy."))
}

async fn is_frozen(tx: &mut Tx, post: &Post) -> Outcome<bool> {
    let given = publications::list_for_post(tx, post.workspace, post.id).await?;
    Ok(!given.is_empty())
}

fn wrong_state(post: &Post, what: &str) -> Failure {
    let next_step = match post.state {
        PostState::Publishing => "Wait until its publications have an outcome.",
        PostState::NeedsReview => "Decide about its doubtful publications first.",
        PostState::Published | PostState::PartiallyPublished => "Duplicate it and use the copy.",
        PostState::PendingApproval => "Wait for the approval, or have it rejected.",
        _ => "Load the post again to see where it is.",
    };
    Failure::new(
        409,
        "post.wrong_state",
        format!("The post cannot be {what} now"),
    )
    .detail(format!("It is {}.", post.state.as_str().replace('_', " ")))
    .next_step(next_step)
}

/// An error of a schedule as one of a field.
pub(super) fn schedule_error(error: &ScheduleError) -> FieldError {
    FieldError::new(error.field.clone(), error.reason.clone())
        .expected(error.next_step.clone())
        .suggest(error.suggestion.clone())
}
