//! `DELETE /api/v1/workspaces/{ws}/sandbox/posts/{id}`

use axum::extract::{RawPathParams, State};
use so_model::workspace::Role;

use crate::{
    app::{App, failure::Outcome, sandbox},
    http::{Endpoint, Member, NoContent},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/sandbox/posts/{id}",
        "sandbox.delete",
        handle,
    )
    .says("Deletes a post at the built-in network, as its owner might")
    .for_members(Role::Editor)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    params: RawPathParams,
) -> Outcome<NoContent> {
    let id = params
        .iter()
        .find(|(name, _)| *name == "id")
        .map_or("", |(_, value)| value);
    sandbox::delete(&app, member.workspace, id).await?;
    Ok(NoContent)
}
