//! `GET /api/v1/workspaces/{ws}/notifications`

use axum::extract::State;
use so_model::{
    api::notification::{NotificationList, NotificationQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, notifications},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/notifications",
        "notifications.list",
        handle,
    )
    .says("Lists messages, the newest first")
    .for_members(Role::Viewer)
    .asks::<NotificationQuery>()
    .answers::<NotificationList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<NotificationQuery>,
) -> Outcome<Json<NotificationList>> {
    notifications::list(&app, member.workspace, &query)
        .await
        .map(Json)
}
