//! `DELETE /api/v1/workspaces/{ws}/hooks/{hook}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/hooks/{hook}",
        "hooks.delete",
        handle,
    )
    .says("Deletes a webhook")
    .for_members(Role::Admin)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Hook>,
) -> Outcome<NoContent> {
    webhooks::delete(&app, member.actor(), id)
        .await
        .map(|()| NoContent)
}
