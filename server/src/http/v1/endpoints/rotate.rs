//! `POST /api/v1/workspaces/{ws}/endpoints/{ep}/rotate`

use axum::extract::State;
use so_model::{api::endpoint::EndpointSecret, id::kind, workspace::Role};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/endpoints/{ep}/rotate",
        "endpoints.rotate",
        handle,
    )
    .says("Replaces the signing secret of an address")
    .for_members(Role::Admin)
    .answers::<EndpointSecret>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Endpoint>,
) -> Outcome<Json<EndpointSecret>> {
    endpoints::rotate(&app, member.workspace, id)
        .await
        .map(Json)
}
