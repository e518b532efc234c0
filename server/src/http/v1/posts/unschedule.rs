//! `POST /api/v1/workspaces/{ws}/posts/{post}/unschedule`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/unschedule",
        "posts.unschedule",
        handle,
    )
    .says("Takes the due time of a post away")
    .for_members(Role::Editor)
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<Post>> {
    posts::unschedule(&app, member.actor(), post)
        .await
        .map(Json)
}
