//! `GET /api/v1/workspaces/{ws}/runs`

use axum::extract::State;
use so_model::{
    api::run::{RunList, RunQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/runs", "runs.list", handle)
        .says("Lists runs, the newest first")
        .for_members(Role::Viewer)
        .asks::<RunQuery>()
        .answers::<RunList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<RunQuery>,
) -> Outcome<Json<RunList>> {
    runs::list(&app, member.workspace, &query).await.map(Json)
}
