//! `POST /api/v1/workspaces/{ws}/sandbox/script`

use axum::extract::State;
use so_model::{
    api::sandbox::{ScriptStops, StepScript},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, sandbox},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/sandbox/script",
        "sandbox.step",
        handle,
    )
    .says("Goes through a script on a sample event and tells its variables at each statement")
    .explains("With break-points only the statements on those lines are told. Answers 200 also for a script that fails.")
    .for_members(Role::Editor)
    .takes::<StepScript>()
    .answers::<ScriptStops>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<StepScript>,
) -> Outcome<Json<ScriptStops>> {
    sandbox::step(&app, member.workspace, request)
        .await
        .map(Json)
}
