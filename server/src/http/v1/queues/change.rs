//! `PATCH /api/v1/workspaces/{ws}/queues/{queue}`

use axum::extract::State;
use so_model::{
    api::queue::{ChangeQueue, QueueView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch("/api/v1/workspaces/{ws}/queues/{queue}", "queues.change", handle)
        .says("Changes, pauses or resumes a queue")
        .explains("What is absent stays as it is. Posts keep the moments they hold; the posts of a paused queue wait.")
        .for_members(Role::Editor)
        .takes::<ChangeQueue>()
        .answers::<QueueView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(queue): PathId<kind::Queue>,
    Json(request): Json<ChangeQueue>,
) -> Outcome<Json<QueueView>> {
    queues::change(&app, member.workspace, queue, request)
        .await
        .map(Json)
}
