//! `DELETE /api/v1/workspaces/{ws}/media/{media}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, media},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/media/{media}",
        "media.delete",
        handle,
    )
    .says("Deletes a file that no unsent post uses")
    .for_members(Role::Editor)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(media_id): PathId<kind::Media>,
) -> Outcome<NoContent> {
    media::delete(&app, member.workspace, media_id).await?;
    Ok(NoContent)
}
