//! `PATCH /api/v1/workspaces/{ws}/media/{media}`

use axum::extract::State;
use so_model::{
    api::media::{ChangeMedia, MediaView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, media},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/media/{media}",
        "media.change",
        handle,
    )
    .says("Changes name or description of a file")
    .for_members(Role::Editor)
    .takes::<ChangeMedia>()
    .answers::<MediaView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(media_id): PathId<kind::Media>,
    Json(request): Json<ChangeMedia>,
) -> Outcome<Json<MediaView>> {
    media::change(&app, member.workspace, media_id, &request)
        .await
        .map(Json)
}
