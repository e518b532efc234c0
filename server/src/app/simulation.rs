//! Simulations over history as people ask for them.
//!
//! Owns the range, the drafts, and how many simulations are made at a time. Must not play anything: the engine does.
//! Invariant: a simulation is made off the threads that serve requests, writes nothing, calls nobody, and is given up
//! when it takes too long.

use std::{sync::Arc, time::Duration};

use so_engine::simulate::{self, Ask, DRAFTS_MAX, Draft, EVENTS_MAX, SPAN_MAX, SimulateError};
use so_model::{
    api::simulation::SimulationRequest, id::WorkspaceId, problem::FieldError,
    simulation::Simulation, time::DAY,
};
use tokio::sync::{Semaphore, oneshot};

use super::{
    App,
    failure::{Failure, Outcome},
    forecast,
};

/// Simulations at a time: each keeps a processor busy.
const AT_ONCE: usize = 1;
/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest time a simulation may take; a year of a million events takes less.
const LONGEST: Duration = Duration::from_secs(55);
/// Rules as if they were off, in one simulation.
const WITHOUT_MAX: usize = 100;
/// Kinds of events that are named, in one simulation.
const KINDS_MAX: usize = 50;

/// Where simulations are made.
#[derive(Debug)]
pub struct Places(Arc<Semaphore>);

impl Default for Places {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

/// What rules would have done about the recorded events of a range.
pub async fn ask(
    app: &App,
    workspace: WorkspaceId,
    request: SimulationRequest,
) -> Outcome<Simulation> {
    let ask = checked(app, workspace, request).await?;
    let waiting = app.simulations.0.clone().acquire_owned();
    let place = match tokio::time::timeout(PATIENCE, waiting).await {
        Ok(place) => place.map_err(|_| Failure::internal())?,
        Err(_) => {
            let failure = Failure::new(503, "simulation.busy", "Another simulation is being made");
            return Err(failure.next_step("Try again in a moment."));
        }
    };
    let scripts = app.engine.scripts_now(workspace).await?;
    let engine = app.engine.clone();
    let runtime = tokio::runtime::Handle::current();
    let (answer, answered) = oneshot::channel();
    let work = move || {
        let made = runtime.block_on(async {
            tokio::time::timeout(LONGEST, simulate::simulate(&engine, &scripts, &ask)).await
        });
        // Whoever asked may have gone; the place is kept until the work is done all the same.
        drop(place);
        let _ = answer.send(made);
    };
    let begun = std::thread::Builder::new()
        .name("simulation".into())
        .spawn(work);
    if let Err(error) = begun {
        tracing::error!(%error, "a thread for a simulation could not be started");
        return Err(Failure::internal());
    }
    let made = answered.await.map_err(|_| {
        tracing::error!("a simulation did not come to its end");
        Failure::internal()
    })?;
    let made = made.map_err(|_| {
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
    let drafts = forecast::drafts(app, workspace, request.drafts, DRAFTS_MAX).await?;
    let drafts = drafts.into_iter().map(|draft| Draft {
        rule: draft.rule,
        document: draft.document,
    });
    Ok(Ask {
        workspace,
        from: request.from,
        until,
        kinds: request.kinds,
        drafts: drafts.collect(),
        without: request.without,
        events_max: EVENTS_MAX,
    })
}

fn failure(error: SimulateError) -> Failure {
    match error {
        SimulateError::Store(error) => error.into(),
        SimulateError::NoRule(_) => Failure::not_found("rule"),
        SimulateError::NoWorkspace => Failure::not_found("workspace"),
        SimulateError::Draft(index, errors) => {
            let mut failure = Failure::new(422, "rule.invalid", "A draft has mistakes")
                .next_step("Correct what is named and try again.");
            let within = |error: FieldError| FieldError {
                pointer: format!("/drafts/{index}{}", error.pointer),
                ..error
            };
            failure.problem.errors = errors.into_iter().map(within).collect();
            failure
        }
    }
}
