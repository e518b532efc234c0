//! `POST /api/v1/workspaces/{ws}/notifications/read`

use axum::extract::State;
use so_model::workspace::Role;

use crate::{
    app::{App, failure::Outcome, notifications},
    http::{Endpoint, Member, NoContent},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/notifications/read",
        "notifications.read_all",
        handle,
    )
    .says("Marks every message as read")
    .for_members(Role::Viewer)
    .answers_nothing()
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<NoContent> {
    notifications::mark_all_read(&app, member.workspace)
        .await
        .map(|()| NoContent)
}
