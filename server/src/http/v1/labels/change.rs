//! `PATCH /api/v1/workspaces/{ws}/labels/{label}`

use axum::extract::State;
use so_model::{
    api::label::{ChangeLabel, LabelView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, labels},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch(
        "/api/v1/workspaces/{ws}/labels/{label}",
        "labels.change",
        handle,
    )
    .says("Changes name or colour of a label")
    .for_members(Role::Editor)
    .takes::<ChangeLabel>()
    .answers::<LabelView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(label): PathId<kind::Label>,
    Json(request): Json<ChangeLabel>,
) -> Outcome<Json<LabelView>> {
    labels::change(&app, member.workspace, label, &request)
        .await
        .map(Json)
}
