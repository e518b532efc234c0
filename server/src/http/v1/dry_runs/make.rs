//! `POST /api/v1/workspaces/{ws}/dry-runs`

use axum::extract::State;
use so_model::{
    api::dry_run::{DryRun, DryRunRequest},
    workspace::Role,
};

use crate::{
    app::{App, dry_run, failure::Outcome},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/dry-runs", "dry_runs.make", handle)
        .says("Tells what a rule would do about an event, without doing it")
        .explains("A saved rule, a version of it or a draft; a stored event, a trigger's sample, or either of them changed. Steps on the workspace's own data are done and undone, the networks' checks are made, and nobody is called.")
        .for_members(Role::Editor)
        .takes::<DryRunRequest>()
        .answers::<DryRun>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<DryRunRequest>,
) -> Outcome<Json<DryRun>> {
    dry_run::dry_run(&app, member.workspace, request)
        .await
        .map(Json)
}
