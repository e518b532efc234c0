//! `GET /api/v1/workspaces/{ws}/publications/{pub}`

use axum::extract::State;
use so_model::{api::post::PublicationDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, publications},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/publications/{pub}",
        "publications.get",
        handle,
    )
    .says("Shows a publication with its tries and changes")
    .for_members(Role::Viewer)
    .answers::<PublicationDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(publication): PathId<kind::Publication>,
) -> Outcome<Json<PublicationDetail>> {
    publications::get(&app, member.workspace, publication)
        .await
        .map(Json)
}
