//! `GET /api/v1/workspaces/{ws}/sandbox/posts`

use axum::extract::State;
use so_model::{
    api::sandbox::{SandboxQuery, SandboxTimeline},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, sandbox},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/sandbox/posts",
        "sandbox.timeline",
        handle,
    )
    .says("Shows the timeline of the built-in network")
    .for_members(Role::Viewer)
    .asks::<SandboxQuery>()
    .answers::<SandboxTimeline>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<SandboxQuery>,
) -> Outcome<Json<SandboxTimeline>> {
    sandbox::timeline(&app, member.workspace, &query)
        .await
        .map(Json)
}
