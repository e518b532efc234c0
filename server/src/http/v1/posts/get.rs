//! `GET /api/v1/workspaces/{ws}/posts/{post}`

use axum::extract::State;
use so_model::{api::post::PostDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/posts/{post}", "posts.get", handle)
        .says("Shows a post with its publications, tries and runs")
        .for_members(Role::Viewer)
        .answers::<PostDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(post): PathId<kind::Post>,
) -> Outcome<Json<PostDetail>> {
    posts::get(&app, member.workspace, post).await.map(Json)
}
