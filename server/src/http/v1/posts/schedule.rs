//! `POST /api/v1/workspaces/{ws}/posts/{post}/schedule`

use axum::extract::State;
use so_model::{
    api::post::{PostScheduled, SchedulePost},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/schedule",
        "posts.schedule",
        handle,
    )
    .says("Gives a post a due time")
    .for_members(Role::Editor)
    .takes::<SchedulePost>()
    .answers::<PostScheduled>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
    Json(request): Json<SchedulePost>,
) -> Outcome<Json<PostScheduled>> {
    posts::schedule(&app, member.actor(), post, &request)
        .await
        .map(Json)
}
