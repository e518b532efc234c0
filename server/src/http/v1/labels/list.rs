//! `GET /api/v1/workspaces/{ws}/labels`

use axum::extract::State;
use so_model::{
    api::label::{LabelList, LabelQuery},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, labels},
    http::{Endpoint, Json, Member, Query},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/labels", "labels.list", handle)
        .says("Lists the labels")
        .for_members(Role::Viewer)
        .asks::<LabelQuery>()
        .answers::<LabelList>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Query(query): Query<LabelQuery>,
) -> Outcome<Json<LabelList>> {
    labels::list(&app, member.workspace, &query).await.map(Json)
}
