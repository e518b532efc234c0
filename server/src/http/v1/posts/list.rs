//! `GET /api/v1/workspaces/{ws}/posts`

use axum::extract::State;
use so_model::{
    api::post::{PostList, PostQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, posts},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/posts", "posts.list", handle)
        .says("Lists posts by state, account, label, words and due time")
        .for_members(Role::Viewer)
        .asks::<PostQuery>()
        .answers::<PostList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<PostQuery>,
) -> Outcome<Json<PostList>> {
    posts::list(&app, member.workspace, &query).await.map(Json)
}
