//! `POST /api/v1/workspaces/{ws}/publications/{pub}/decide`

use axum::extract::State;
use so_model::{
    api::post::{DecidePublication, PublicationDetail},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, publications},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/publications/{pub}/decide",
        "publications.decide",
        handle,
    )
    .says("Says what nobody else can tell: live, not live, or to be left")
    .for_members(Role::Editor)
    .takes::<DecidePublication>()
    .answers::<PublicationDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(publication): PathId<kind::Publication>,
    Json(request): Json<DecidePublication>,
) -> Outcome<Json<PublicationDetail>> {
    publications::decide(&app, member.actor(), publication, &request)
        .await
        .map(Json)
}
