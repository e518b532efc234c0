//! `DELETE /api/v1/workspaces/{ws}/members/{user}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, members},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete("/api/v1/workspaces/{ws}/members/{user}", "members.remove", handle)
        .says("Removes a member")
        .explains("Everybody may remove themselves; removing others needs the role admin, removing owners the role owner.")
        .for_members(Role::Viewer)
        .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(user): PathId<kind::User>,
) -> Outcome<NoContent> {
    members::remove(&app, member.actor(), user).await?;
    Ok(NoContent)
}
