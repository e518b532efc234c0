//! `PATCH /api/v1/workspaces/{ws}/sandbox/accounts/{acct}`

use axum::extract::State;
use so_model::{account::Account, api::sandbox::SandboxBehaviour, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, sandbox},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/sandbox/accounts/{acct}",
        "sandbox.behave",
        handle,
    )
    .says("Tells a sandbox account how to behave")
    .for_members(Role::Admin)
    .takes::<SandboxBehaviour>()
    .answers::<Account>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
    Json(request): Json<SandboxBehaviour>,
) -> Outcome<Json<Account>> {
    sandbox::behave(&app, member.workspace, account, &request)
        .await
        .map(Json)
}
