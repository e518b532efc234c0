//! `GET /api/v1/workspaces/{ws}/queues/{queue}`

use axum::extract::State;
use so_model::{api::queue::QueueView, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/queues/{queue}",
        "queues.get",
        handle,
    )
    .says("Shows a queue")
    .for_members(Role::Viewer)
    .answers::<QueueView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(queue): PathId<kind::Queue>,
) -> Outcome<Json<QueueView>> {
    queues::get(&app, member.workspace, queue).await.map(Json)
}
