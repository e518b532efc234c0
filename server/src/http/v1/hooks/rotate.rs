//! `POST /api/v1/workspaces/{ws}/hooks/{hook}/rotate`

use axum::extract::State;
use so_model::{
    api::hook::{HookSecrets, RotateHook},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/hooks/{hook}/rotate",
        "hooks.rotate",
        handle,
    )
    .says("Replaces the address or the secret of a webhook")
    .explains("The old ones stop working at once.")
    .for_members(Role::Admin)
    .takes::<RotateHook>()
    .answers::<HookSecrets>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Hook>,
    Json(request): Json<RotateHook>,
) -> Outcome<Json<HookSecrets>> {
    webhooks::rotate(&app, member.actor(), id, &request)
        .await
        .map(Json)
}
