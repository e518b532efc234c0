//! `GET /api/v1/workspaces/{ws}/scripts`

use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};
use axum::extract::State;
use so_model::{api::script::ScriptModuleList, workspace::Role};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/scripts", "scripts.list", handle)
        .says("Lists the modules of the script library")
        .explains("Each with its functions, its constants and what calls it.")
        .for_members(Role::Viewer)
        .answers::<ScriptModuleList>(200)
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<Json<ScriptModuleList>> {
    library::list(&app, member.workspace).await.map(Json)
}
