//! `POST /api/v1/workspaces`

use axum::extract::State;
use so_model::api::{auth::Membership, workspace::CreateWorkspace};

use crate::{
    app::{App, failure::Outcome, workspaces},
    http::{Created, Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces", "workspaces.create", handle)
        .says("Makes a workspace with the person who asks as its owner")
        .for_signed_in()
        .takes::<CreateWorkspace>()
        .answers::<Membership>(201)
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
    Json(request): Json<CreateWorkspace>,
) -> Outcome<Created<Membership>> {
    workspaces::create(&app, bearer.user, &request)
        .await
        .map(Created)
}
