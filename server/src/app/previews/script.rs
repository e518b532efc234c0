//! What does this script do?

use serde_json::{Map, Value, json};
use so_engine::{
    Engine,
    script::{
        CompiledScript, EvalContext, Finding, PreparedContext, ROOT_NAMES, ScriptError, Shape,
        analyse,
    },
};
use so_model::{
    Timestamp,
    api::preview::{PreviewScript, ScriptDialect, ScriptPreview},
    problem::FieldError,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// Seed of a preview: the same script shows the same, however often it is tried.
const SEED: u64 = 1;

/// Reads a script and runs it in the sandbox on an event.
pub async fn script(app: &App, request: PreviewScript) -> Outcome<ScriptPreview> {
    for name in request.vars.keys() {
        if !ROOT_NAMES.contains(&name.as_str()) || name == "event" {
            let known = ROOT_NAMES.iter().copied().filter(|root| *root != "event");
            let near = crate::config::nearest(name, known).map(str::to_string);
            let error = FieldError::new(format!("/vars/{name}"), "scripts have no such variable")
                .suggest(near);
            return Err(Failure::invalid(vec![error]));
        }
    }
    let (event, shape) = event_of(app, &request)?;
    let engine = app.engine.clone();
    let now = app.now();
    let run = app.bench.work(move || {
        let compiled = match request.dialect {
            ScriptDialect::Expression => engine.scripts.compile_expression(&request.source),
            ScriptDialect::Script => engine.scripts.compile_script(&request.source),
        };
        match compiled {
            Ok(compiled) => evaluate(&engine, &compiled, event, request.vars, &shape, now),
            Err(error) => failed(&error, Vec::new()),
        }
    });
    run.await
}

fn evaluate(
    engine: &Engine,
    script: &CompiledScript,
    event: Value,
    vars: Map<String, Value>,
    shape: &Shape,
    now: Timestamp,
) -> ScriptPreview {
    let findings = analyse(script, shape).into_iter().map(finding).collect();
    let mut all = vars;
    all.insert("event".into(), event);
    let context = PreparedContext::new(&EvalContext {
        now_micros: now.micros(),
        seed: SEED,
        vars: all,
    });
    match engine.scripts.run_script(script, &context) {
        Ok(outcome) => ScriptPreview {
            value: outcome.value,
            printed: outcome.printed,
            operations: outcome.operations,
            error: None,
            findings,
        },
        Err(error) => failed(&error, findings),
    }
}

fn failed(error: &ScriptError, findings: Vec<FieldError>) -> ScriptPreview {
    let told = FieldError {
        line: error.line,
        column: error.column,
        ..FieldError::new("/source", error.message.clone()).suggest(error.suggestion.clone())
    };
    ScriptPreview {
        value: Value::Null,
        printed: Vec::new(),
        operations: 0,
        error: Some(told),
        findings,
    }
}

fn finding(finding: Finding) -> FieldError {
    FieldError {
        line: finding.line,
        column: finding.column,
        ..FieldError::new("/source", finding.message).suggest(finding.suggestion)
    }
}

// The event given, or the sample of the trigger; the shape is known only of a sample.
fn event_of(app: &App, request: &PreviewScript) -> Outcome<(Value, Shape)> {
    let catalogue = app.engine.plugins.catalogue();
    let spec = match &request.trigger {
        None => None,
        Some(kind) => Some(catalogue.triggers.get(kind).ok_or_else(|| {
            let near = crate::config::nearest(kind, catalogue.triggers.keys().map(String::as_str))
                .map(str::to_string);
            Failure::invalid(vec![
                FieldError::new("/trigger", "there is no such trigger").suggest(near),
            ])
        })?),
    };
    let shape = match spec {
        Some(spec) if !spec.open_data => Shape::from_sample(&spec.sample_data),
        _ => Shape::Any,
    };
    let event = match (&request.event, spec) {
        (Some(event), _) => event.clone(),
        (None, Some(spec)) => json!({
            "id": "evt_01890a5dac96774bbcceb302099a8057",
            "kind": spec.event_kinds.first().map_or(spec.kind.as_str(), String::as_str),
            "source": "sample", "subject": null, "time": app.now(), "data": spec.sample_data
        }),
        (None, None) => {
            json!({"kind": "sample", "source": "sample", "subject": null, "time": app.now(), "data": {}})
        }
    };
    Ok((event, shape))
}
