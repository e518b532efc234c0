//! `GET /api/v1/workspaces/{ws}/runs/{run}/compare`

use axum::extract::State;
use so_model::{
    api::again::{CompareQuery, RunComparison},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/runs/{run}/compare",
        "runs.compare",
        handle,
    )
    .says("Lays two runs beside each other and tells where they part")
    .explains("Ids and moments that follow from a run itself do not tell two runs apart.")
    .for_members(Role::Viewer)
    .asks::<CompareQuery>()
    .answers::<RunComparison>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
    Query(query): Query<CompareQuery>,
) -> Outcome<Json<RunComparison>> {
    runs::compare(&app, member.workspace, id, query.with)
        .await
        .map(Json)
}
