//! `POST /api/v1/workspaces/{ws}/posts/{post}/approve`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/approve",
        "posts.approve",
        handle,
    )
    .says("Approves a post; one that has its time is scheduled")
    .for_members(Role::Admin)
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<Post>> {
    posts::approve(&app, member.actor(), post).await.map(Json)
}
