//! `POST /api/v1/workspaces/{ws}/endpoints`

use axum::extract::State;
use so_model::{
    api::endpoint::{CreateEndpoint, EndpointSecret},
    workspace::Role,
};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/endpoints",
        "endpoints.create",
        handle,
    )
    .says("Makes an outbound webhook address")
    .explains("The signing secret is shown this once.")
    .for_members(Role::Admin)
    .takes::<CreateEndpoint>()
    .answers::<EndpointSecret>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateEndpoint>,
) -> Outcome<Created<EndpointSecret>> {
    endpoints::create(&app, member.workspace, &request)
        .await
        .map(Created)
}
