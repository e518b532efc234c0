//! `GET /api/v1/workspaces/{ws}/rules/{rule}/versions`

use axum::extract::State;
use so_model::{api::rule::RuleVersionList, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/versions",
        "rules.list_versions",
        handle,
    )
    .says("Lists the versions of a rule, the newest first")
    .for_members(Role::Viewer)
    .answers::<RuleVersionList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
) -> Outcome<Json<RuleVersionList>> {
    rules::list_versions(&app, member.workspace, id)
        .await
        .map(Json)
}
