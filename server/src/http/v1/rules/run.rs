//! `POST /api/v1/workspaces/{ws}/rules/{rule}/run`

use axum::extract::State;
use so_model::{
    api::rule::{PressRule, Pressed},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, rules},
    http::{Created, Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post(
        "/api/v1/workspaces/{ws}/rules/{rule}/run",
        "rules.run",
        handle,
    )
    .says("Presses the button of a rule")
    .explains("For rules with a trigger of the kind manual.")
    .for_members(Role::Editor)
    .takes::<PressRule>()
    .answers::<Pressed>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Rule>,
    Json(request): Json<PressRule>,
) -> Outcome<Created<Pressed>> {
    rules::press(&app, member.actor(), id, request)
        .await
        .map(Created)
}
