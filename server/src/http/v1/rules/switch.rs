//! `PATCH /api/v1/workspaces/{ws}/rules/{rule}`

use axum::extract::State;
use so_model::{
    api::rule::{RuleDetail, SwitchRule},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/rules/{rule}",
        "rules.switch",
        handle,
    )
    .says("Switches a rule on or off")
    .for_members(Role::Admin)
    .takes::<SwitchRule>()
    .answers::<RuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<SwitchRule>,
) -> Outcome<Json<RuleDetail>> {
    rules::switch(&app, member.actor(), id, request)
        .await
        .map(Json)
}
