//! `POST /api/v1/workspaces/{ws}/posts`

use axum::extract::State;
use so_model::{api::post::CreatePost, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/posts", "posts.create", handle)
        .says("Makes a draft")
        .for_members(Role::Editor)
        .takes::<CreatePost>()
        .answers::<Post>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreatePost>,
) -> Outcome<Created<Post>> {
    posts::create(&app, member.actor(), request)
        .await
        .map(Created)
}
