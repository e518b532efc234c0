//! `GET /api/v1/workspaces`

use axum::extract::State;
use so_model::api::workspace::WorkspaceList;

use crate::{
    app::{App, failure::Outcome, workspaces},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces", "workspaces.list", handle)
        .says("Lists the workspaces of the person who asks")
        .for_signed_in()
        .answers::<WorkspaceList>(200)
}

async fn handle(
    State(app): State<App>,
    SignedIn(bearer): SignedIn,
) -> Outcome<Json<WorkspaceList>> {
    let items = workspaces::list(&app, bearer.user).await?;
    Ok(Json(WorkspaceList { items }))
}
