//! `GET /api/v1/workspaces/{ws}/endpoints`

use axum::extract::State;
use so_model::{
    api::endpoint::{EndpointList, EndpointQuery},
    workspace::Role,
};

use crate::{
    app::{App, endpoints, failure::Outcome},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/endpoints",
        "endpoints.list",
        handle,
    )
    .says("Lists outbound webhook addresses, the oldest first")
    .explains("Editors and viewers see where an address leads, not the whole of it.")
    .for_members(Role::Viewer)
    .asks::<EndpointQuery>()
    .answers::<EndpointList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<EndpointQuery>,
) -> Outcome<Json<EndpointList>> {
    endpoints::list(&app, member.actor(), &query)
        .await
        .map(Json)
}
