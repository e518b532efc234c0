//! `POST /api/v1/workspaces/{ws}/feeds/{feed}/poll`

use axum::extract::State;
use so_model::{api::feed::FeedPolled, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/feeds/{feed}/poll",
        "feeds.poll",
        handle,
    )
    .says("Reads a feed at once")
    .for_members(Role::Editor)
    .answers::<FeedPolled>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Feed>,
) -> Outcome<Json<FeedPolled>> {
    feeds::poll_now(&app, member.workspace, id).await.map(Json)
}
