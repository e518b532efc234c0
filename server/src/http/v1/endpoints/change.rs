//! `PATCH /api/v1/workspaces/{ws}/endpoints/{ep}`

use axum::extract::State;
use so_model::{
    api::endpoint::{ChangeEndpoint, EndpointView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/endpoints/{ep}",
        "endpoints.change",
        handle,
    )
    .says("Changes an outbound webhook address, switches it on or off")
    .for_members(Role::Admin)
    .takes::<ChangeEndpoint>()
    .answers::<EndpointView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Endpoint>,
    Json(request): Json<ChangeEndpoint>,
) -> Outcome<Json<EndpointView>> {
    endpoints::change(&app, member.workspace, id, &request)
        .await
        .map(Json)
}
