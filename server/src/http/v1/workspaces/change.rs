//! `PATCH /api/v1/workspaces/{ws}`

use axum::extract::State;
use so_model::{
    api::{auth::Membership, workspace::ChangeWorkspace},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, workspaces},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::patch("/api/v1/workspaces/{ws}", "workspaces.change", handle)
        .says("Changes name, time zone or approval of a workspace")
        .explains("What is absent stays as it is.")
        .for_members(Role::Admin)
        .takes::<ChangeWorkspace>()
        .answers::<Membership>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<ChangeWorkspace>,
) -> Outcome<Json<Membership>> {
    let workspace = workspaces::change(&app, member.workspace, &request).await?;
    Ok(Json(Membership {
        workspace,
        role: member.role,
    }))
}
