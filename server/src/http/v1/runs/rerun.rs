//! `POST /api/v1/workspaces/{ws}/runs/{run}/rerun`

use axum::extract::State;
use so_model::{api::run::RunView, id::kind, workspace::Role};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Created, Endpoint, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/runs/{run}/rerun", "runs.rerun", handle)
        .says("Starts a run that is over again from its first step")
        .explains("A new run of the live version on a copy of the event, of this rule only. The condition is not looked at. What the former run published is published again if the rule says so.")
        .for_members(Role::Editor)
        .answers::<RunView>(201)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
) -> Outcome<Created<RunView>> {
    runs::rerun(&app, member.actor(), id).await.map(Created)
}
