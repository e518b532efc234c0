//! `POST /api/v1/workspaces/{ws}/rules/{rule}/versions/{version}/restore`

use axum::extract::State;
use so_model::{
    api::rule::{RestoreRule, RuleDetail},
    id::kind,
    workspace::Role,
};

use super::version::Version;

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/rules/{rule}/versions/{version}/restore",
        "rules.restore",
        handle,
    )
    .says("Makes an old version the newest one")
    .explains("A new version with the old document; no version is changed, and runs keep the version they began with.")
    .for_members(Role::Admin)
    .takes::<RestoreRule>()
    .answers::<RuleDetail>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Version(version): Version,
    Json(request): Json<RestoreRule>,
) -> Outcome<Json<RuleDetail>> {
    rules::restore(&app, member.actor(), id, version, request)
        .await
        .map(Json)
}
