//! `PATCH /api/v1/workspaces/{ws}/feeds/{feed}`

use axum::extract::State;
use so_model::{
    api::feed::{ChangeFeed, FeedView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/feeds/{feed}",
        "feeds.change",
        handle,
    )
    .says("Changes the interval of a feed, pauses it, lets it go on")
    .for_members(Role::Editor)
    .takes::<ChangeFeed>()
    .answers::<FeedView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Feed>,
    Json(request): Json<ChangeFeed>,
) -> Outcome<Json<FeedView>> {
    feeds::change(&app, member.workspace, id, &request)
        .await
        .map(Json)
}
