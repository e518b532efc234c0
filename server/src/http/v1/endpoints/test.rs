//! `POST /api/v1/workspaces/{ws}/endpoints/{ep}/test`

use axum::extract::State;
use so_model::{api::endpoint::EndpointTested, id::kind, workspace::Role};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/endpoints/{ep}/test",
        "endpoints.test",
        handle,
    )
    .says("Sends a signed test message")
    .for_members(Role::Admin)
    .answers::<EndpointTested>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Endpoint>,
) -> Outcome<Json<EndpointTested>> {
    endpoints::test(&app, member.workspace, id).await.map(Json)
}
