//! `GET /api/v1/workspaces/{ws}/events`

use axum::extract::State;
use so_model::{
    api::event::{EventList, EventQuery},
    workspace::Role,
};

use crate::{
    app::{App, events, failure::Outcome},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/events", "events.list", handle)
        .says("Lists events, the newest first")
        .for_members(Role::Viewer)
        .asks::<EventQuery>()
        .answers::<EventList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<EventQuery>,
) -> Outcome<Json<EventList>> {
    events::list(&app, member.workspace, &query).await.map(Json)
}
