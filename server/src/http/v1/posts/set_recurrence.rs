//! `PUT /api/v1/workspaces/{ws}/posts/{post}/recurrence`

use axum::extract::State;
use so_model::{
    api::post::{RecurrenceSet, SetRecurrence},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::put(
        "/api/v1/workspaces/{ws}/posts/{post}/recurrence",
        "posts.set_recurrence",
        handle,
    )
    .says("Makes a post repeat by a calendar")
    .for_members(Role::Editor)
    .takes::<SetRecurrence>()
    .answers::<RecurrenceSet>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
    Json(request): Json<SetRecurrence>,
) -> Outcome<Json<RecurrenceSet>> {
    posts::set_recurrence(&app, member.actor(), post, &request)
        .await
        .map(Json)
}
