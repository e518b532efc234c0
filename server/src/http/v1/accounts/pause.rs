//! `POST /api/v1/workspaces/{ws}/accounts/{acct}/pause`

use axum::extract::State;
use so_model::{account::Account, id::kind, workspace::Role};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/accounts/{acct}/pause",
        "accounts.pause",
        handle,
    )
    .says("Switches an account off; its posts wait")
    .for_members(Role::Admin)
    .answers::<Account>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
) -> Outcome<Json<Account>> {
    accounts::pause(&app, member.actor(), account)
        .await
        .map(Json)
}
