//! `PUT /api/v1/workspaces/{ws}/scripts/{script}`

use axum::extract::State;
use so_model::{
    api::script::{PutScriptModule, ScriptModuleDetail},
    workspace::Role,
};

use super::name::Name;
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Json, Member},
};

/// A module with the texts and cases of rules that change along with it, which are pages of text.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::put("/api/v1/workspaces/{ws}/scripts/{script}", "scripts.put", handle)
        .says("Makes a module of the script library, or a new version of it")
        .explains("Refused with 422 when it does not compile, and when a rule or another module that calls it would have mistakes. Each rule that calls it gets a new version with the same document; runs under way keep what they began with. Rules that must change along with it come in rules: they are checked and tried as they would be, and saved in the same step or not at all. When a case of a rule that is on fails, it is refused unless an owner gives override_reason. Refused with 409 when there is a newer version than expected_version, or a rule that calls it was changed meanwhile.")
        .body_max(BODY_BYTES_MAX)
        .for_members(Role::Admin)
        .takes::<PutScriptModule>()
        .answers::<ScriptModuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Name(name): Name,
    Json(request): Json<PutScriptModule>,
) -> Outcome<Json<ScriptModuleDetail>> {
    library::put(&app, member.actor(), &name, request)
        .await
        .map(Json)
}
