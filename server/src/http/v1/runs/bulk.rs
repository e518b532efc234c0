//! `POST /api/v1/workspaces/{ws}/runs/bulk`

use axum::extract::State;
use so_model::{
    api::again::{BulkReport, BulkRuns},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/runs/bulk", "runs.bulk", handle)
        .says("Re-drives, re-runs or tries many runs")
        .explains("Each run is done and reported by itself. With preview nothing is done and the runs are named.")
        .for_members(Role::Editor)
        .takes::<BulkRuns>()
        .answers::<BulkReport>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<BulkRuns>,
) -> Outcome<Json<BulkReport>> {
    runs::bulk(&app, member.actor(), &request).await.map(Json)
}
