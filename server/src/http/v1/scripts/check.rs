//! `POST /api/v1/workspaces/{ws}/scripts/{script}/check`

use axum::extract::State;
use so_model::{
    api::script::{CheckScriptModule, ScriptModuleCheck},
    workspace::Role,
};

use super::name::Name;
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/scripts/{script}/check",
        "scripts.check",
        handle,
    )
    .says("Says what is wrong with the text of a module, and what it would break")
    .explains("Nothing is stored. Answers 200 also for a text with mistakes.")
    // Why a case fails shows rendered parameters of rules, and those may hold secrets.
    .for_members(Role::Admin)
    .takes::<CheckScriptModule>()
    .answers::<ScriptModuleCheck>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
    Json(request): Json<CheckScriptModule>,
) -> Outcome<Json<ScriptModuleCheck>> {
    library::check(&app, member.workspace, &name, request)
        .await
        .map(Json)
}
