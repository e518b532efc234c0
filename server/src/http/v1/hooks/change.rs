//! `PATCH /api/v1/workspaces/{ws}/hooks/{hook}`

use axum::extract::State;
use so_model::{
    api::hook::{ChangeHook, HookView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/hooks/{hook}",
        "hooks.change",
        handle,
    )
    .says("Changes a webhook")
    .for_members(Role::Admin)
    .takes::<ChangeHook>()
    .answers::<HookView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Hook>,
    Json(request): Json<ChangeHook>,
) -> Outcome<Json<HookView>> {
    webhooks::change(&app, member.actor(), id, request)
        .await
        .map(Json)
}
