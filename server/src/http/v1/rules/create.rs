//! `POST /api/v1/workspaces/{ws}/rules`

use axum::extract::State;
use so_model::{
    api::rule::{CreateRule, RuleDetail},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/rules", "rules.create", handle)
        .says("Makes a rule")
        .explains("The document comes as JSON or as text. Errors point into the document, whatever the form; those of a text also tell line and column. A rule that is on and has a case that fails is refused, unless an owner gives override_reason.")
        .for_members(Role::Admin)
        .takes::<CreateRule>()
        .answers::<RuleDetail>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateRule>,
) -> Outcome<Created<RuleDetail>> {
    rules::create(&app, member.actor(), request)
        .await
        .map(Created)
}
