//! `POST /api/v1/workspaces/{ws}/posts/{post}/queue`

use axum::extract::State;
use so_model::{
    api::post::{PostScheduled, QueuePost},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/queue",
        "posts.enqueue",
        handle,
    )
    .says("Puts a post into the next free slot of a queue")
    .for_members(Role::Editor)
    .takes::<QueuePost>()
    .answers::<PostScheduled>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
    Json(request): Json<QueuePost>,
) -> Outcome<Json<PostScheduled>> {
    posts::enqueue(&app, member.actor(), post, &request)
        .await
        .map(Json)
}
