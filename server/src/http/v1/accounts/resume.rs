//! `POST /api/v1/workspaces/{ws}/accounts/{acct}/resume`

use axum::extract::State;
use so_model::{account::Account, id::kind, workspace::Role};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/accounts/{acct}/resume",
        "accounts.resume",
        handle,
    )
    .says("Switches an account on; what waited goes on")
    .for_members(Role::Admin)
    .answers::<Account>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
) -> Outcome<Json<Account>> {
    accounts::resume(&app, member.actor(), account)
        .await
        .map(Json)
}
