//! `POST /api/v1/workspaces/{ws}/accounts/{acct}/reconnect`

use axum::{extract::State, response::Response};
use so_model::{
    api::account::{Reconnect, SignInBegun},
    id::kind,
    workspace::Role,
};

use super::sign_in::answer;
use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/accounts/{acct}/reconnect",
        "accounts.reconnect",
        handle,
    )
    .says("Begins connecting an account again")
    .explains("As accounts.sign_in; another account than this one is refused.")
    .for_members(Role::Admin)
    .takes::<Reconnect>()
    .answers::<SignInBegun>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
    Json(request): Json<Reconnect>,
) -> Outcome<Response> {
    let begun = accounts::reconnect(&app, member.actor(), account, &request.form).await?;
    Ok(answer(&app, begun))
}
