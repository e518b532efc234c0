//! `GET /api/v1/workspaces/{ws}/hooks`

use axum::extract::State;
use so_model::{
    api::hook::{HookList, HookQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/hooks", "hooks.list", handle)
        .says("Lists inbound webhooks, the oldest first")
        .for_members(Role::Viewer)
        .asks::<HookQuery>()
        .answers::<HookList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<HookQuery>,
) -> Outcome<Json<HookList>> {
    webhooks::list(&app, member.workspace, &query)
        .await
        .map(Json)
}
