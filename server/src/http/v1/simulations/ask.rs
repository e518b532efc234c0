//! `POST /api/v1/workspaces/{ws}/simulations`

use axum::extract::State;
use so_model::{api::simulation::SimulationRequest, simulation::Simulation, workspace::Role};

use crate::{
    app::{App, failure::Outcome, simulation},
    http::{Endpoint, Json, Member},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/api/v1/workspaces/{ws}/simulations", "simulations.ask", handle)
        .says("Tells what rules would have done about the recorded events of a range")
        .explains("Plays recorded events by the rules as they are or might be, and holds what comes out against what really happened. What history does not hold is listed as unknown. Nothing is stored, and nobody is called. A range with more than a million events is cut, and says where.")
        .for_members(Role::Editor)
        .takes::<SimulationRequest>()
        .answers::<Simulation>(200)
}

async fn handle(
    State(app): State<App>,
    member: Member,
    Json(request): Json<SimulationRequest>,
) -> Outcome<Json<Simulation>> {
    simulation::ask(&app, member.workspace, request)
        .await
        .map(Json)
}
