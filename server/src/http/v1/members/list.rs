//! `GET /api/v1/workspaces/{ws}/members`

use axum::extract::State;
use so_model::{api::workspace::MemberList, workspace::Role};

use crate::{
    app::{App, failure::Outcome, members},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}/members", "members.list", handle)
        .says("Lists the members of a workspace")
        .for_members(Role::Viewer)
        .answers::<MemberList>(200)
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<Json<MemberList>> {
    let items = members::list(&app, member.workspace).await?;
    Ok(Json(MemberList { items }))
}
