//! `POST /api/v1/workspaces/{ws}/scripts/{script}/versions/{version}/restore`

use axum::extract::State;
use so_model::{
    api::script::{RestoreScriptModule, ScriptModuleDetail},
    workspace::Role,
};

use super::name::{Name, Version};
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/scripts/{script}/versions/{version}/restore", "scripts.restore", handle)
        .says("Makes an old version of a module the newest one")
        .explains("A new version with the old text; it is tried like any other. A module that was deleted is there again.")
        .for_members(Role::Admin)
        .takes::<RestoreScriptModule>()
        .answers::<ScriptModuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
    Version(version): Version,
    Json(request): Json<RestoreScriptModule>,
) -> Outcome<Json<ScriptModuleDetail>> {
    library::restore(&app, member.actor(), &name, version, request)
        .await
        .map(Json)
}
