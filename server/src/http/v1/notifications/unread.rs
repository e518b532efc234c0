//! `GET /api/v1/workspaces/{ws}/notifications/unread`

use axum::extract::State;
use so_model::{api::notification::Unread, workspace::Role};

use crate::{
    app::{App, failure::Outcome, notifications},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/notifications/unread",
        "notifications.unread",
        handle,
    )
    .says("Counts unread messages")
    .for_members(Role::Viewer)
    .answers::<Unread>(200)
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<Json<Unread>> {
    notifications::unread(&app, member.workspace)
        .await
        .map(Json)
}
