//! `POST /api/v1/workspaces/{ws}/feeds/import`

use axum::extract::State;
use so_model::{
    api::feed::{ImportFeeds, ImportReport},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/feeds/import", "feeds.import", handle)
        .says("Subscribes the feeds of an OPML list")
        .explains("Every row is reported. The feeds are read soon after; items that are there already start no rule.")
        .for_members(Role::Editor)
        .takes::<ImportFeeds>()
        .body_max(8 * 1024 * 1024)
        .answers::<ImportReport>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<ImportFeeds>,
) -> Outcome<Json<ImportReport>> {
    feeds::import(&app, member.workspace, request)
        .await
        .map(Json)
}
