//! `GET /api/v1/workspaces/{ws}/rules/{rule}/versions/{version}`

use axum::extract::State;
use so_model::{api::rule::RuleVersionDetail, id::kind, workspace::Role};

use super::version::Version;

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/rules/{rule}/versions/{version}",
        "rules.get_version",
        handle,
    )
    .says("Shows one version of a rule")
    .explains("Editors and viewers see *** in place of secrets that stand in parameters.")
    .for_members(Role::Viewer)
    .answers::<RuleVersionDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Version(version): Version,
) -> Outcome<Json<RuleVersionDetail>> {
    rules::get_version(&app, member.actor(), id, version)
        .await
        .map(Json)
}
