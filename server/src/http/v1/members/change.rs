//! `PUT /api/v1/workspaces/{ws}/members/{user}`

use axum::extract::State;
use so_model::{
    api::workspace::{MemberView, PutMember},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, members},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::put(
        "/api/v1/workspaces/{ws}/members/{user}",
        "members.change",
        handle,
    )
    .says("Changes the role of a member")
    .explains("Only an owner makes or demotes owners; the last owner stays one.")
    .for_members(Role::Admin)
    .takes::<PutMember>()
    .answers::<MemberView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(user): PathId<kind::User>,
    Json(request): Json<PutMember>,
) -> Outcome<Json<MemberView>> {
    members::change_role(&app, member.actor(), user, request.role)
        .await
        .map(Json)
}
