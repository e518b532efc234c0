//! `GET /api/v1/workspaces/{ws}/rules/{rule}/coverage`

use axum::extract::State;
use so_model::{api::rule::RuleCoverage, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/coverage",
        "rules.coverage",
        handle,
    )
    .says("Counts which clauses and branches a rule went through")
    .explains("In its cases, and in its latest 200 runs and decisions.")
    .for_members(Role::Viewer)
    .answers::<RuleCoverage>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleCoverage>> {
    rules::coverage(&app, member.workspace, id).await.map(Json)
}
