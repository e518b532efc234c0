//! `DELETE /api/v1/workspaces/{ws}/endpoints/{ep}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/endpoints/{ep}",
        "endpoints.delete",
        handle,
    )
    .says("Deletes an outbound webhook address")
    .for_members(Role::Admin)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Endpoint>,
) -> Outcome<NoContent> {
    endpoints::delete(&app, member.workspace, id)
        .await
        .map(|()| NoContent)
}
