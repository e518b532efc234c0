//! `POST /api/v1/workspaces/{ws}/posts/{post}/duplicate`

use axum::extract::State;
use so_model::{id::kind, post::Post, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Created, Endpoint, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/posts/{post}/duplicate",
        "posts.duplicate",
        handle,
    )
    .says("Makes a draft with the content of a post")
    .for_members(Role::Editor)
    .answers::<Post>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Created<Post>> {
    posts::duplicate(&app, member.actor(), post)
        .await
        .map(Created)
}
