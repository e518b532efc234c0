//! `POST /api/v1/workspaces/{ws}/posts/{post}/reject`

use axum::extract::State;
use so_model::{api::post::RejectPost, id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/reject",
        "posts.reject",
        handle,
    )
    .says("Sends a post back to its author")
    .for_members(Role::Admin)
    .takes::<RejectPost>()
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
    Json(request): Json<RejectPost>,
) -> Outcome<Json<Post>> {
    posts::reject(&app, member.actor(), post, &request)
        .await
        .map(Json)
}
