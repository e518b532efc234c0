//! `POST /api/v1/workspaces/{ws}/hooks`

use axum::extract::State;
use so_model::{
    api::hook::{CreateHook, HookSecrets},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, webhooks},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/hooks", "hooks.create", handle)
        .says("Makes an inbound webhook")
        .explains("The signing secret is shown this once.")
        .for_members(Role::Admin)
        .takes::<CreateHook>()
        .answers::<HookSecrets>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateHook>,
) -> Outcome<Created<HookSecrets>> {
    webhooks::create(&app, member.actor(), request)
        .await
        .map(Created)
}
