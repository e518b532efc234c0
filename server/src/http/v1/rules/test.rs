//! `POST /api/v1/workspaces/{ws}/rules/{rule}/test`

use axum::extract::State;
use so_model::{api::rule::TestRule, case::CaseReport, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/rules/{rule}/test",
        "rules.test",
        handle,
    )
    .says("Tries the cases of a rule, of a version or of a draft")
    .explains("In memory, on a clock of its own; nothing is performed. Answers 200 also when cases fail: that is what was asked for.")
    // What came differently shows rendered parameters, and those may hold secrets.
    .for_members(Role::Admin)
    .takes::<TestRule>()
    .answers::<CaseReport>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<TestRule>,
) -> Outcome<Json<CaseReport>> {
    rules::test(&app, member.actor(), id, request)
        .await
        .map(Json)
}
