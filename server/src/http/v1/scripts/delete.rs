//! `DELETE /api/v1/workspaces/{ws}/scripts/{script}`

use axum::extract::State;
use so_model::workspace::Role;

use super::name::Name;
use crate::{
    app::{App, failure::Outcome, library},
    http::{Endpoint, Member, NoContent},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/scripts/{script}",
        "scripts.delete",
        handle,
    )
    .says("Deletes a module that nothing calls; its versions stay")
    .explains("Refused with 409 when a rule or another module calls it; they are named.")
    .for_members(Role::Admin)
    .answers_nothing()
}

async fn handle(State(app): State<App>, member: Member, Name(name): Name) -> Outcome<NoContent> {
    library::delete(&app, member.actor(), &name)
        .await
        .map(|()| NoContent)
}
