//! Deleting the record of a post.
//!
//! Invariant: nothing that is being sent or in doubt is forgotten; what is live at a network stays there.

use serde_json::json;
use so_model::{
    api::post::PostDeleted,
    event::kind,
    id::PostId,
    post::{Post, PostState},
};
use so_store::posts;

use super::{hold, write::drop_timers, wrong_state};
use crate::app::{App, change::Change, failure::Outcome, members::Actor};

/// States whose posts may be forgotten.
const DELETABLE: [PostState; 8] = [
    PostState::Draft,
    PostState::PendingApproval,
    PostState::Approved,
    PostState::Scheduled,
    PostState::Published,
    PostState::PartiallyPublished,
    PostState::Failed,
    PostState::Missed,
];

/// Deletes a post here.
pub async fn delete(app: &App, actor: Actor, id: PostId) -> Outcome<PostDeleted> {
    let mut change = Change::begin(app, actor.workspace).await?;
    let post = hold(&mut change.tx, actor.workspace, id).await?;
    if !DELETABLE.contains(&post.state) {
        return Err(wrong_state(&post, "deleted"));
    }
    let note = note(&post);
    drop_timers(&mut change.tx, id).await?;
    posts::delete(&mut change.tx, actor.workspace, id, &DELETABLE).await?;
    let data = json!({"post": post, "by": actor.user, "note": note});
    change.emit(kind::POST_DELETED, id, data).await?;
    change.touch("post", id);
    change.commit().await?;
    Ok(PostDeleted {
        note: note.to_string(),
    })
}

fn note(post: &Post) -> &'static str {
    match post.state {
        PostState::Published | PostState::PartiallyPublished => {
            "Only the record here is gone; the post stays live at its networks. Delete it there if it should go."
        }
        _ => "The post is gone.",
    }
}
