//! Simulations over history as people ask for them.
//!
//! Owns the range, the drafts, and how many simulations are made at a time. Must not play anything: the engine does.
//! Invariant: a simulation is made off the threads that serve requests, writes nothing, calls nobody, and is given up
//! when it takes too long.

use std::time::Duration;

use so_engine::simulate::{self, Ask, DRAFTS_MAX, EVENTS_MAX, SPAN_MAX, SimulateError};
use so_model::{
    api::simulation::SimulationRequest, id::WorkspaceId, simulation::Simulation, time::DAY,
};

use super::{
    App,
    apart::Places,
    failure::{Failure, Outcome},
    supposed::{drafts, mistaken},
};

/// Simulations at a time: each keeps a processor busy.
const AT_ONCE: usize = 1;
/// Longest time a simulation may take; a year of a million events takes less.
const LONGEST: Duration = Duration::from_secs(55);
/// Rules as if they were off, in one simulation.
const WITHOUT_MAX: usize = 100;
/// Kinds of events that are named, in one simulation.
const KINDS_MAX: usize = 50;

/// Where simulations are made.
pub(super) fn places() -> Places {
    Places::new("simulation", AT_ONCE, LONGEST)
}

/// What rules would have done about the recorded events of a range.
pub async fn ask(
    app: &App,
    workspace: WorkspaceId,
    request: SimulationRequest,
) -> Outcome<Simulation> {
    let ask = checked(app, workspace, request).await?;
    let place = app
        .simulations
        .wait("simulation.busy", "Another simulation is being made");
    let place = place.await?;
    let scripts = app.engine.scripts_now(workspace).await?;
    let engine = app.engine.clone();
    let work = move || async move { simulate::simulate(&engine, &scripts, &ask).await };
    let made = place.work(work).await?.ok_or_else(|| {
        Failure::new(503, "simulation.too_long", "The simulation took too long").next_step(
            "Ask for a shorter range or fewer kinds of events, or again when the server is less busy.",
        )
    })?;
    made.map_err(failure)
}

async fn checked(app: &App, workspace: WorkspaceId, request: SimulationRequest) -> Outcome<Ask> {
    let now = app.now();
    let until = request.until.unwrap_or(now).min(now);
    if until <= request.from {
        let reason = "is not before the end of the range";
        return Err(Failure::field("/from", reason, "a moment of the past"));
    }
    if until.since(request.from) > SPAN_MAX {
        let expected = format!("at most {} days before the end", SPAN_MAX / DAY);
        return Err(Failure::field(
            "/from",
            "makes the range too long",
            expected,
        ));
    }
    let bounds = [
        ("/without", request.without.len(), WITHOUT_MAX),
        ("/kinds", request.kinds.len(), KINDS_MAX),
    ];
    for (field, count, most) in bounds {
        if count > most {
            let expected = format!("at most {most}");
            return Err(Failure::field(field, "are too many", expected));
        }
    }
    Ok(Ask {
        workspace,
        from: request.from,
        until,
        kinds: request.kinds,
        drafts: drafts(app, workspace, request.drafts, DRAFTS_MAX).await?,
        without: request.without,
        events_max: EVENTS_MAX,
    })
}

fn failure(error: SimulateError) -> Failure {
    match error {
        SimulateError::Store(error) => error.into(),
        SimulateError::NoRule(_) => Failure::not_found("rule"),
        SimulateError::NoWorkspace => Failure::not_found("workspace"),
        SimulateError::Draft(index, errors) => mistaken(index, errors),
    }
}
