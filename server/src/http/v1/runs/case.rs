//! `GET /api/v1/workspaces/{ws}/runs/{run}/case`

use axum::extract::State;
use so_model::{api::rule::RunCase, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/runs/{run}/case",
        "runs.case",
        handle,
    )
    .says("Makes a case from a run, to be put among the cases of its rule")
    .for_members(Role::Editor)
    .answers::<RunCase>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
) -> Outcome<Json<RunCase>> {
    rules::of_run(&app, member.workspace, id).await.map(Json)
}
