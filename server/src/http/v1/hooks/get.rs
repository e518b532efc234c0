//! `GET /api/v1/workspaces/{ws}/hooks/{hook}`

use axum::extract::State;
use so_model::{api::hook::HookDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/hooks/{hook}", "hooks.get", handle)
        .says("Shows a webhook with its last call")
        .explains("Admins also see its address.")
        .for_members(Role::Viewer)
        .answers::<HookDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Hook>,
) -> Outcome<Json<HookDetail>> {
    webhooks::get(&app, member.actor(), id).await.map(Json)
}
