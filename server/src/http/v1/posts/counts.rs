//! `GET /api/v1/workspaces/{ws}/posts/counts`

use axum::extract::State;
use so_model::{api::post::PostCounts, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/posts/counts",
        "posts.counts",
        handle,
    )
    .says("Counts the posts in each state")
    .for_members(Role::Viewer)
    .answers::<PostCounts>(200)
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<Json<PostCounts>> {
    posts::counts(&app, member.workspace).await.map(Json)
}
