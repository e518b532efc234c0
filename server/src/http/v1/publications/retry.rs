//! `POST /api/v1/workspaces/{ws}/publications/{pub}/retry`

use axum::extract::State;
use so_model::{api::post::PublicationDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, publications},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/publications/{pub}/retry",
        "publications.retry",
        handle,
    )
    .says("Tries a failed publication again")
    .for_members(Role::Editor)
    .answers::<PublicationDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(publication): PathId<kind::Publication>,
) -> Outcome<Json<PublicationDetail>> {
    publications::retry(&app, member.actor(), publication)
        .await
        .map(Json)
}
