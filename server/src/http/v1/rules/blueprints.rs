//! `GET /api/v1/workspaces/{ws}/blueprints`

use axum::extract::State;
use so_model::{api::rule::BlueprintList, workspace::Role};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(
        "/api/v1/workspaces/{ws}/blueprints",
        "blueprints.list",
        handle,
    )
    .says("Lists the blueprints that come with the product")
    .for_members(Role::Viewer)
    .answers::<BlueprintList>(200)
}

async fn handle(State(_): State<App>, _: Member) -> Outcome<Json<BlueprintList>> {
    rules::blueprints().map(Json)
}
