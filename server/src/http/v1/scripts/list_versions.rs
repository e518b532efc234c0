//! `GET /api/v1/workspaces/{ws}/scripts/{script}/versions`

use axum::extract::State;
use so_model::{api::script::ScriptVersionList, workspace::Role};

use super::name::Name;
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/scripts/{script}/versions",
        "scripts.list_versions",
        handle,
    )
    .says("Lists the versions of a module, also of one that was deleted")
    .for_members(Role::Viewer)
    .answers::<ScriptVersionList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
) -> Outcome<Json<ScriptVersionList>> {
    library::list_versions(&app, member.workspace, &name)
        .await
        .map(Json)
}
