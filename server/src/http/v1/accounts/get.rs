//! `GET /api/v1/workspaces/{ws}/accounts/{acct}`

use axum::extract::State;
use so_model::{account::Account, id::kind, workspace::Role};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/accounts/{acct}",
        "accounts.get",
        handle,
    )
    .says("Shows an account")
    .for_members(Role::Viewer)
    .answers::<Account>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
) -> Outcome<Json<Account>> {
    accounts::get(&app, member.workspace, account)
        .await
        .map(Json)
}
