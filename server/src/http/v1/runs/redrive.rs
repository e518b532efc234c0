//! `POST /api/v1/workspaces/{ws}/runs/{run}/redrive`

use axum::extract::State;
use so_model::{
    api::{again::Redrive, run::RunView},
    id::kind,
    workspace::Role,
};

use crate::{
    app::{App, failure::Outcome, runs},
    http::{Endpoint, Json, Member, PathId},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/runs/{run}/redrive", "runs.redrive", handle)
        .says("Goes on with a run that failed or was cancelled, from its failed step")
        .explains("Same event, same version, same run: what was done stays done. A call of which nobody knows whether it took effect is only made again if the request says so.")
        .for_members(Role::Editor)
        .takes::<Redrive>()
        .answers::<RunView>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    PathId(id): PathId<kind::Run>,
    Json(request): Json<Redrive>,
) -> Outcome<Json<RunView>> {
    runs::redrive(&app, member.actor(), id, &request)
        .await
        .map(Json)
}
