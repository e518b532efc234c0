//! `POST /api/v1/workspaces/{ws}/rules`

use axum::extract::State;
use so_model::{
    api::rule::{RuleDetail, RuleInput},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/rules", "rules.create", handle)
        .says("Makes a rule")
        .explains("The document comes as JSON or as text. Errors point into the document, whatever the form; those of a text also tell line and column.")
        .for_members(Role::Admin)
        .takes::<RuleInput>()
        .answers::<RuleDetail>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<RuleInput>,
) -> Outcome<Created<RuleDetail>> {
    rules::create(&app, member.actor(), request)
        .await
        .map(Created)
}
