//! `GET /api/v1/workspaces/{ws}/rules`

use axum::extract::State;
use so_model::{
    api::rule::{RuleList, RuleQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/rules", "rules.list", handle)
        .says("Lists rules, the oldest first")
        .for_members(Role::Viewer)
        .asks::<RuleQuery>()
        .answers::<RuleList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<RuleQuery>,
) -> Outcome<Json<RuleList>> {
    rules::list(&app, member.workspace, &query).await.map(Json)
}
