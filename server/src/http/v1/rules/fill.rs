//! `POST /api/v1/workspaces/{ws}/blueprints/fill`

use axum::extract::State;
use so_model::{
    api::rule::{FillBlueprint, FilledBlueprint},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/blueprints/fill",
        "blueprints.fill",
        handle,
    )
    .says("Fills in a blueprint, or tells what its version now would change in a rule made from it")
    .explains("Stores nothing: the text that it answers can be saved as a rule.")
    .for_members(Role::Admin)
    .takes::<FillBlueprint>()
    .answers::<FilledBlueprint>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<FillBlueprint>,
) -> Outcome<Json<FilledBlueprint>> {
    rules::fill(&app, member.workspace, request).await.map(Json)
}
