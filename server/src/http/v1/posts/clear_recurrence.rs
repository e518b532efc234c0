//! `DELETE /api/v1/workspaces/{ws}/posts/{post}/recurrence`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/posts/{post}/recurrence",
        "posts.clear_recurrence",
        handle,
    )
    .says("Ends the repeating of a post")
    .for_members(Role::Editor)
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<Post>> {
    posts::clear_recurrence(&app, member.actor(), post)
        .await
        .map(Json)
}
