//! `POST /api/v1/workspaces/{ws}/queues`

use axum::extract::State;
use so_model::{
    api::queue::{CreateQueue, QueueView},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/queues", "queues.create", handle)
        .says("Makes a queue")
        .for_members(Role::Editor)
        .takes::<CreateQueue>()
        .answers::<QueueView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateQueue>,
) -> Outcome<Created<QueueView>> {
    queues::create(&app, member.workspace, request)
        .await
        .map(Created)
}
