//! `POST /api/v1/previews/rule`

use axum::extract::State;
use so_model::api::rule::{RuleCheck, RuleInput};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, SignedIn},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/previews/rule", "previews.rule", handle)
        .says("Checks a rule")
        .explains("Answers 200 also for a rule with mistakes.")
        .for_signed_in()
        .takes::<RuleInput>()
        .answers::<RuleCheck>(200)
}

async fn handle(
    State(app): State<App>,
    _: SignedIn,
    Json(request): Json<RuleInput>,
) -> Outcome<Json<RuleCheck>> {
    rules::check(&app, None, request).await.map(Json)
}
