//! `DELETE /api/v1/workspaces/{ws}/rules/{rule}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/rules/{rule}",
        "rules.delete",
        handle,
    )
    .says("Deletes a rule; its history stays")
    .for_members(Role::Admin)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<NoContent> {
    rules::delete(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}
