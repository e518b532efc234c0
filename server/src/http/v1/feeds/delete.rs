//! `DELETE /api/v1/workspaces/{ws}/feeds/{feed}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, feeds},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/feeds/{feed}",
        "feeds.delete",
        handle,
    )
    .says("Deletes a feed")
    .for_members(Role::Editor)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Feed>,
) -> Outcome<NoContent> {
    feeds::delete(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}
