//! `GET /api/v1/workspaces/{ws}/rules/{rule}/difference`

use axum::extract::State;
use so_model::{
    api::version::{DifferenceQuery, RuleDifference},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/difference",
        "rules.difference",
        handle,
    )
    .says("Tells how two versions of a rule differ, in sentences and in lines")
    .explains("from and to are numbers of versions, live or draft. Editors and viewers see *** in place of secrets that stand in parameters, and no drafts.")
    .for_members(Role::Viewer)
    .asks::<DifferenceQuery>()
    .answers::<RuleDifference>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Query(query): Query<DifferenceQuery>,
) -> Outcome<Json<RuleDifference>> {
    rules::compare(&app, member.actor(), id, &query)
        .await
        .map(Json)
}
