//! `GET /api/v1/workspaces/{ws}/media`

use axum::extract::State;
use so_model::{
    api::media::{MediaList, MediaQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, media},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/media", "media.list", handle)
        .says("Lists the uploaded files")
        .for_members(Role::Viewer)
        .asks::<MediaQuery>()
        .answers::<MediaList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<MediaQuery>,
) -> Outcome<Json<MediaList>> {
    media::list(&app, member.workspace, &query).await.map(Json)
}
