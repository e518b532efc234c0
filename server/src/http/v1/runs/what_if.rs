//! `POST /api/v1/workspaces/{ws}/runs/{run}/what-if`

use axum::extract::State;
use so_model::{
    api::{again::WhatIf, dry_run::DryRun},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/runs/{run}/what-if",
        "runs.what_if",
        handle,
    )
    .says("Tells what another version would do about a run's event")
    .explains("A dry run at the moment the run began: nothing is done and nobody is called.")
    .for_members(Role::Editor)
    .takes::<WhatIf>()
    .answers::<DryRun>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
    Json(request): Json<WhatIf>,
) -> Outcome<Json<DryRun>> {
    runs::what_if(&app, member.workspace, id, request)
        .await
        .map(Json)
}
