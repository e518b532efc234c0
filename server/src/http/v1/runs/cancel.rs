//! `POST /api/v1/workspaces/{ws}/runs/{run}/cancel`

use axum::extract::State;
use so_model::{api::run::RunView, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/runs/{run}/cancel",
        "runs.cancel",
        handle,
    )
    .says("Cancels a run: at once if it waits or is queued, else before its next step")
    .for_members(Role::Editor)
    .answers::<RunView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
) -> Outcome<Json<RunView>> {
    runs::cancel(&app, member.actor(), id).await.map(Json)
}
