//! `GET /api/v1/workspaces/{ws}/queues`

use axum::extract::State;
use so_model::{
    api::queue::{QueueList, QueueQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/queues", "queues.list", handle)
        .says("Lists the queues")
        .for_members(Role::Viewer)
        .asks::<QueueQuery>()
        .answers::<QueueList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<QueueQuery>,
) -> Outcome<Json<QueueList>> {
    queues::list(&app, member.workspace, &query).await.map(Json)
}
