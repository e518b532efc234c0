//! `POST /api/v1/workspaces/{ws}/notifications/{note}/read`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, notifications},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/notifications/{note}/read",
        "notifications.read",
        handle,
    )
    .says("Marks a message as read")
    .for_members(Role::Viewer)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Notification>,
) -> Outcome<NoContent> {
    notifications::mark_read(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}
