//! `GET /api/v1/workspaces/{ws}/events/{evt}`

use axum::extract::State;
use so_model::{api::event::EventDetail, id::kind, workspace::Role};

use crate::{
    app::{App, events, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/events/{evt}", "events.get", handle)
        .says("Shows an event, the runs it started, and why other rules did not start")
        .for_members(Role::Viewer)
        .answers::<EventDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Event>,
) -> Outcome<Json<EventDetail>> {
    events::get(&app, member.workspace, id).await.map(Json)
}
