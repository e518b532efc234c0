//! `POST /api/v1/workspaces/{ws}/posts/{post}/submit`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/submit",
        "posts.submit",
        handle,
    )
    .says("Sends a post for approval")
    .for_members(Role::Editor)
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<Post>> {
    posts::submit(&app, member.actor(), post).await.map(Json)
}
