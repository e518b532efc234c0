//! `GET /api/v1/workspaces/{ws}/endpoints/{ep}`

use axum::extract::State;
use so_model::{api::endpoint::EndpointView, id::kind, workspace::Role};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/endpoints/{ep}",
        "endpoints.get",
        handle,
    )
    .says("Shows an outbound webhook address")
    .explains("Editors and viewers see where the address leads, not the whole of it.")
    .for_members(Role::Viewer)
    .answers::<EndpointView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Endpoint>,
) -> Outcome<Json<EndpointView>> {
    endpoints::get(&app, member.actor(), id).await.map(Json)
}
