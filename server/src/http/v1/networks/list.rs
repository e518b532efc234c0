//! `GET /api/v1/workspaces/{ws}/networks`

use axum::extract::State;
use so_model::{api::network::NetworkList, workspace::Role};

use crate::{
    app::{App, failure::Outcome},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/networks", "networks.list", handle)
        .says("Lists the networks of this server with their forms and limits")
        .for_members(Role::Viewer)
        .answers::<NetworkList>(200)
}

async fn handle(State(app): State<App>, _: Member) -> Outcome<Json<NetworkList>> {
    let items = app.access.connectors().manifests().cloned().collect();
    Ok(Json(NetworkList { items }))
}
