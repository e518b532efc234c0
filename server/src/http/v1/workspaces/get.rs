//! `GET /api/v1/workspaces/{ws}`

use axum::extract::State;
use so_model::{api::auth::Membership, workspace::Role};

use crate::{
    app::{App, failure::Outcome, workspaces},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get("/api/v1/workspaces/{ws}", "workspaces.get", handle)
        .says("A workspace, and the role of the person who asks")
        .for_members(Role::Viewer)
        .answers::<Membership>(200)
}

async fn handle(State(app): State<App>, member: Member) -> Outcome<Json<Membership>> {
    let workspace = workspaces::get(&app, member.workspace).await?;
    Ok(Json(Membership {
        workspace,
        role: member.role,
    }))
}
