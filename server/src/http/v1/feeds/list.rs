//! `GET /api/v1/workspaces/{ws}/feeds`

use axum::extract::State;
use so_model::{
    api::feed::{FeedList, FeedQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/feeds", "feeds.list", handle)
        .says("Lists feeds, the oldest first")
        .for_members(Role::Viewer)
        .asks::<FeedQuery>()
        .answers::<FeedList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<FeedQuery>,
) -> Outcome<Json<FeedList>> {
    feeds::list(&app, member.workspace, &query).await.map(Json)
}
