//! `GET /api/v1/workspaces/{ws}/scripts/{script}`

use axum::extract::State;
use so_model::{api::script::ScriptModuleDetail, workspace::Role};

use super::name::Name;
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/scripts/{script}",
        "scripts.get",
        handle,
    )
    .says("Shows a module of the script library")
    .for_members(Role::Viewer)
    .answers::<ScriptModuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
) -> Outcome<Json<ScriptModuleDetail>> {
    library::get(&app, member.workspace, &name).await.map(Json)
}
