//! `GET /api/v1/workspaces/{ws}/rules/{rule}`

use axum::extract::State;
use so_model::{api::rule::RuleDetail, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/rules/{rule}", "rules.get", handle)
        .says("Shows a rule with its live document")
        .explains("Editors and viewers see *** in place of secrets that stand in parameters.")
        .for_members(Role::Viewer)
        .answers::<RuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleDetail>> {
    rules::get(&app, member.actor(), id).await.map(Json)
}
