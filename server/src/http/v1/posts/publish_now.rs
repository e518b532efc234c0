//! `POST /api/v1/workspaces/{ws}/posts/{post}/publish-now`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/publish-now",
        "posts.publish_now",
        handle,
    )
    .says("Makes a post due now, so that the rules publish it")
    .for_members(Role::Editor)
    .answers::<Post>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<Post>> {
    posts::publish_now(&app, member.actor(), post)
        .await
        .map(Json)
}
