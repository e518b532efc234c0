//! `POST /api/v1/workspaces/{ws}/labels`

use axum::extract::State;
use so_model::{
    api::label::{CreateLabel, LabelView},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, labels},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/labels", "labels.create", handle)
        .says("Makes a label")
        .for_members(Role::Editor)
        .takes::<CreateLabel>()
        .answers::<LabelView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<CreateLabel>,
) -> Outcome<Created<LabelView>> {
    labels::create(&app, member.workspace, &request)
        .await
        .map(Created)
}
