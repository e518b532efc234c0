//! `POST /api/v1/workspaces/{ws}/members`

use axum::extract::State;
use so_model::{
    api::workspace::{AddMember, MemberView},
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, members},
    http::{Created, Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/members", "members.add", handle)
        .says("Adds a person who has registered here, by e-mail address")
        .explains("Only an owner adds owners.")
        .for_members(Role::Admin)
        .takes::<AddMember>()
        .answers::<MemberView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<AddMember>,
) -> Outcome<Created<MemberView>> {
    members::add(&app, member.actor(), &request)
        .await
        .map(Created)
}
