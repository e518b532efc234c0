//! `GET /api/v1/workspaces/{ws}/rules/{rule}/decisions`

use axum::extract::State;
use so_model::{
    api::rule::{DecisionList, DecisionQuery},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/decisions",
        "rules.decisions",
        handle,
    )
    .says("Tells on which events a rule did not start, and why")
    .for_members(Role::Viewer)
    .asks::<DecisionQuery>()
    .answers::<DecisionList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Query(query): Query<DecisionQuery>,
) -> Outcome<Json<DecisionList>> {
    rules::decisions(&app, member.workspace, id, &query)
        .await
        .map(Json)
}
