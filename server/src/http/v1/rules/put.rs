//! `PUT /api/v1/workspaces/{ws}/rules/{rule}`

use axum::extract::State;
use so_model::{
    api::rule::{PutRule, RuleDetail},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::put("/api/v1/workspaces/{ws}/rules/{rule}", "rules.put", handle)
        .says("Makes a new version of a rule")
        .explains("Refused with 409 when there is a newer version than expected_version. Runs under way keep the version they began with. A document without the key enabled leaves the switch as it is. A document changes the text of its author only where they differ. A rule that is on and has a case that fails is refused, unless an owner gives override_reason.")
        .for_members(Role::Admin)
        .takes::<PutRule>()
        .answers::<RuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PutRule>,
) -> Outcome<Json<RuleDetail>> {
    rules::put(&app, member.actor(), id, request)
        .await
        .map(Json)
}
