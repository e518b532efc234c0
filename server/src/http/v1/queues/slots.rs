//! `GET /api/v1/workspaces/{ws}/queues/{queue}/slots`

use axum::extract::State;
use so_model::{
    api::queue::{SlotList, SlotQuery},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/queues/{queue}/slots",
        "queues.slots",
        handle,
    )
    .says("Lists the slots to come with their posts")
    .for_members(Role::Viewer)
    .asks::<SlotQuery>()
    .answers::<SlotList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(queue): PathId<kind::Queue>,
    Query(query): Query<SlotQuery>,
) -> Outcome<Json<SlotList>> {
    queues::upcoming(&app, member.workspace, queue, &query)
        .await
        .map(Json)
}
