//! `GET /api/v1/workspaces/{ws}/scripts/{script}/versions/{version}`

use axum::extract::State;
use so_model::{api::script::ScriptVersionDetail, workspace::Role};

use super::name::{Name, Version};
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/scripts/{script}/versions/{version}",
        "scripts.get_version",
        handle,
    )
    .says("Shows one version of a module")
    .for_members(Role::Viewer)
    .answers::<ScriptVersionDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
    Version(version): Version,
) -> Outcome<Json<ScriptVersionDetail>> {
    library::get_version(&app, member.workspace, &name, version)
        .await
        .map(Json)
}
