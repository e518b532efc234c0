//! `GET /api/v1/workspaces/{ws}/posts/{post}/problems`

use axum::extract::State;
use so_model::{api::post::PostProblems, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/posts/{post}/problems",
        "posts.problems",
        handle,
    )
    .says("Tells lengths and problems for each account")
    .for_members(Role::Viewer)
    .answers::<PostProblems>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<PostProblems>> {
    posts::problems(&app, member.workspace, post)
        .await
        .map(Json)
}
