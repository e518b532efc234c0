//! `GET /api/v1/workspaces/{ws}/rules/{rule}/ways`

use axum::extract::State;
use so_model::{id::kind, way::RunWays, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/ways",
        "rules.ways",
        handle,
    )
    .says("Tells which ways runs of a rule went, and how many ordinary ones were let go")
    .explains("Finished runs are counted when they are old enough for ordinary ones to be let go.")
    .for_members(Role::Viewer)
    .answers::<RunWays>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RunWays>> {
    rules::ways(&app, member.workspace, id).await.map(Json)
}
