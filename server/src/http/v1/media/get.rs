//! `GET /api/v1/workspaces/{ws}/media/{media}`

use axum::extract::State;
use so_model::{api::media::MediaView, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, media},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/media/{media}", "media.get", handle)
        .says("Shows what is known of a file, with an address that ends")
        .for_members(Role::Viewer)
        .answers::<MediaView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(media_id): PathId<kind::Media>,
) -> Outcome<Json<MediaView>> {
    media::get(&app, member.workspace, media_id).await.map(Json)
}
