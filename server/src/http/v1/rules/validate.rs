//! `POST /api/v1/workspaces/{ws}/rules/validate`

use axum::extract::State;
use so_model::{
    api::rule::{RuleCheck, RuleInput},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/rules/validate",
        "rules.validate",
        handle,
    )
    .says("Checks a rule without saving it")
    .explains("Answers 200 also for a rule with mistakes: they are what was asked for.")
    .for_members(Role::Viewer)
    .takes::<RuleInput>()
    .answers::<RuleCheck>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<RuleInput>,
) -> Outcome<Json<RuleCheck>> {
    rules::check(&app, Some(member.workspace), request)
        .await
        .map(Json)
}
