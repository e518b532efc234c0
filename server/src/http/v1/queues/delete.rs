//! `DELETE /api/v1/workspaces/{ws}/queues/{queue}`

use axum::extract::State;
use so_model::{id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, queues},
    http::{Endpoint, Member, NoContent, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::delete(
        "/api/v1/workspaces/{ws}/queues/{queue}",
        "queues.delete",
        handle,
    )
    .says("Deletes a queue; its posts keep their due times")
    .for_members(Role::Editor)
    .answers_nothing()
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(queue): PathId<kind::Queue>,
) -> Outcome<NoContent> {
    queues::delete(&app, member.workspace, queue).await?;
    Ok(NoContent)
}
