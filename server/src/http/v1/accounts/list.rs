//! `GET /api/v1/workspaces/{ws}/accounts`

use axum::extract::State;
use so_model::{
    api::account::{AccountList, AccountQuery},
    workspace::Role,
};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/accounts", "accounts.list", handle)
        .says("Lists the connected accounts")
        .for_members(Role::Viewer)
        .asks::<AccountQuery>()
        .answers::<AccountList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<AccountQuery>,
) -> Outcome<Json<AccountList>> {
    accounts::list(&app, member.workspace, &query)
        .await
        .map(Json)
}
