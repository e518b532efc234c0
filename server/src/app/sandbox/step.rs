//! A script gone through on a sample: its variables before each statement.
//!
//! Invariant: nothing is stored and nothing outside is called; the engine that runs rules is not the one that
//! stops.

use std::collections::BTreeSet;

use serde_json::{Map, json};
use so_engine::script::{EvalContext, PreparedContext, Stepped, step_through};
use so_model::{
    api::sandbox::{ScriptStop, ScriptStops, StepScript},
    id::WorkspaceId,
    problem::FieldError,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// Seed of every run, so that the same script shows the same.
const SEED: u64 = 1;

/// Lines that one may ask for; a script has no more words.
const BREAK_POINTS_MAX: usize = 1000;

/// Runs a script and tells where it stopped.
pub async fn step(app: &App, workspace: WorkspaceId, request: StepScript) -> Outcome<ScriptStops> {
    if request.break_points.len() > BREAK_POINTS_MAX {
        let reason = format!("there are {} break-points", request.break_points.len());
        return Err(Failure::field(
            "/break_points",
            reason,
            format!("at most {BREAK_POINTS_MAX}"),
        ));
    }
    let event = match (request.event, &request.trigger) {
        (Some(event), _) => event,
        (None, Some(kind)) => {
            let catalogue = app.engine.plugins.catalogue();
            let spec = catalogue.triggers.get(kind).ok_or_else(|| {
                let known = catalogue.triggers.keys().map(String::as_str);
                let near = crate::config::nearest(kind, known).map(str::to_string);
                let error = FieldError::new("/trigger", "there is no such trigger");
                Failure::invalid(vec![error.suggest(near)])
            })?;
            json!({
                "id": "evt_01890a5dac96774bbcceb302099a8057",
                "kind": spec.event_kinds.first().unwrap_or(&spec.kind),
                "source": "sample", "subject": null, "time": app.now(), "data": spec.sample_data
            })
        }
        (None, None) => json!({"kind": "sample", "source": "sample", "subject": null,
                               "time": app.now(), "data": {}}),
    };
    let context = EvalContext {
        now_micros: app.now().micros(),
        seed: SEED,
        vars: Map::from_iter([
            ("event".to_owned(), event),
            ("vars".to_owned(), json!({ "input": request.input })),
        ]),
    };
    let lines: BTreeSet<u32> = request.break_points.into_iter().collect();
    let scripts = app.engine.scripts_now(workspace).await?;
    let source = request.source;
    let run = app
        .bench
        .work(move || step_through(&scripts, &source, &PreparedContext::new(&context), &lines));
    Ok(match run.await? {
        Ok(stepped) => shown(stepped),
        Err(error) => ScriptStops {
            error: Some(told(&error)),
            ..ScriptStops::default()
        },
    })
}

fn shown(stepped: Stepped) -> ScriptStops {
    let stops = stepped.stops.into_iter().map(|stop| ScriptStop {
        line: stop.line,
        column: stop.column,
        depth: u32::try_from(stop.depth).unwrap_or(u32::MAX),
        variables: stop.variables,
    });
    let mut shown = ScriptStops {
        stops: stops.collect(),
        is_cut: stepped.is_cut,
        ..ScriptStops::default()
    };
    match stepped.outcome {
        Ok(outcome) => {
            shown.value = outcome.value;
            shown.printed = outcome.printed;
        }
        Err(error) => shown.error = Some(told(&error)),
    }
    shown
}

fn told(error: &so_engine::script::ScriptError) -> FieldError {
    FieldError {
        line: error.line,
        column: error.column,
        ..FieldError::new("/source", error.message.clone()).suggest(error.suggestion.clone())
    }
}
