//! `GET /api/v1/workspaces/{ws}/feeds/{feed}`

use axum::extract::State;
use so_model::{api::feed::FeedDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/feeds/{feed}", "feeds.get", handle)
        .says("Shows a feed with the items seen last")
        .for_members(Role::Viewer)
        .answers::<FeedDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Feed>,
) -> Outcome<Json<FeedDetail>> {
    feeds::get(&app, member.workspace, id).await.map(Json)
}
