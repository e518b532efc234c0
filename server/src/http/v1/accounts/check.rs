//! `POST /api/v1/workspaces/{ws}/accounts/{acct}/check`

use axum::extract::State;
use so_model::{api::account::AccountCheck, id::kind, workspace::Role};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/accounts/{acct}/check",
        "accounts.check",
        handle,
    )
    .says("Asks the network whether an account works")
    .for_members(Role::Admin)
    .answers::<AccountCheck>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
) -> Outcome<Json<AccountCheck>> {
    accounts::check(&app, member.actor(), account)
        .await
        .map(Json)
}
