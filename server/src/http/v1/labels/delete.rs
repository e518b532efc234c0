//! `DELETE /api/v1/workspaces/{ws}/labels/{label}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, labels},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/labels/{label}",
        "labels.delete",
        handle,
    )
    .says("Deletes a label and takes it off every post")
    .for_members(Role::Editor)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(label): PathId<kind::Label>,
) -> Outcome<NoContent> {
    labels::delete(&app, member.workspace, label).await?;
    Ok(NoContent)
}
