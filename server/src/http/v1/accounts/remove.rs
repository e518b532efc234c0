//! `DELETE /api/v1/workspaces/{ws}/accounts/{acct}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, accounts, failure::Outcome},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/accounts/{acct}",
        "accounts.remove",
        handle,
    )
    .says("Removes an account and its token; the history stays")
    .for_members(Role::Admin)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(account): PathId<kind::Account>,
) -> Outcome<NoContent> {
    accounts::remove(&app, member.actor(), account).await?;
    Ok(NoContent)
}
