//! `GET /api/v1/workspaces/{ws}/runs/{run}`

use axum::extract::State;
use so_model::{api::run::RunDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/runs/{run}", "runs.get", handle)
        .says("Shows a run with everything that is needed to draw it")
        .for_members(Role::Viewer)
        .answers::<RunDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
) -> Outcome<Json<RunDetail>> {
    runs::get(&app, member.workspace, id).await.map(Json)
}
