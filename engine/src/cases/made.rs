//! A case made from a run.
//!
//! Invariant: what was hidden or cut in the run is not expected by the case.

use serde_json::{Map, Value};
use so_model::{
    case::{Case, CaseCall, CaseEnd, CaseEvent, CaseFailure},
    event::Event,
    rule::{RuleDocument, Step, StepBody},
    run::{Memo, Run, RunState, StepOutcome},
};

use super::trial::RULE_OF_CASES;

/// Stands in traces for a secret.
const HIDDEN: &str = "***";

/// The case that says: what this run did is right.
///
/// For a run that came to its end, in the zone of its workspace.
pub fn case_of_run(
    run: &Run,
    event: &Event,
    memos: &[Memo],
    document: &RuleDocument,
    zone: &str,
) -> Case {
    let own = run.rule.to_string();
    let named = |value: &Value| renamed(value, &own);
    let mut case = Case {
        name: format!("as run {} went", run.id),
        event: Some(CaseEvent {
            kind: event.kind.clone(),
            subject: event.subject.clone(),
            source: Some(event.source.clone()),
            data: named(&event.data),
        }),
        now: Some(run.created_at),
        zone: Some(zone.to_owned()),
        fires: Some(true),
        ..Case::default()
    };
    let mut memos: Vec<&Memo> = memos.iter().collect();
    // Steps of one moment in the order of the document: 10 comes after 2.
    memos.sort_by_cached_key(|memo| (memo.started_at, memo.attempt, in_document(&memo.path)));
    // Another run has another id, and so has its event.
    let passing = [run.id.to_string(), event.id.to_string()];
    let mut calls = Vec::new();
    for memo in memos {
        let Some(step) = find(&document.steps, &memo.step) else {
            continue;
        };
        let action = match &step.body {
            StepBody::Action(body) => Some(body.action.clone()),
            StepBody::WaitFor(_) => None,
            _ => continue,
        };
        match memo.outcome {
            StepOutcome::Done => {
                // It failed before somebody had it go on.
                case.failures.remove(&memo.step);
                case.outputs.insert(memo.step.clone(), named(&memo.output));
            }
            StepOutcome::Failed => {
                let failure = CaseFailure {
                    message: memo.error.clone().unwrap_or_default(),
                    code: memo.output["code"].as_str().unwrap_or_default().to_owned(),
                    times: None,
                };
                case.failures.insert(memo.step.clone(), failure);
            }
            _ => {}
        }
        if let Some(action) = action.filter(|_| memo.attempt == 1) {
            let with = named(&memo.input);
            calls.push(CaseCall {
                id: memo.step.clone(),
                action,
                with: (!is_cut(&with) && !holds(&with, &passing)).then_some(with),
            });
        }
    }
    case.steps = Some(calls);
    case.ends = (run.state == RunState::Failed).then_some(CaseEnd::Failed);
    case
}

fn find<'a>(steps: &'a [Step], id: &str) -> Option<&'a Step> {
    steps.iter().find_map(|step| {
        if step.id == id {
            return Some(step);
        }
        let inner: Vec<&'a [Step]> = match &step.body {
            StepBody::If(body) => vec![&body.then, &body.otherwise],
            StepBody::Choose(body) => {
                let ways = body.choose.iter().map(|way| way.then.as_slice());
                ways.chain([body.otherwise.as_slice()]).collect()
            }
            StepBody::ForEach(body) => vec![&body.steps],
            StepBody::Parallel(body) => body.parallel.iter().map(Vec::as_slice).collect(),
            _ => Vec::new(),
        };
        let inner = inner.into_iter().chain([step.on_error.as_slice()]);
        inner.into_iter().find_map(|steps| find(steps, id))
    })
}

/// The parts of a path, numbers as numbers.
fn in_document(path: &str) -> Vec<(u32, &str)> {
    let parts = path.split('/');
    parts
        .map(|part| (part.parse().unwrap_or_default(), part))
        .collect()
}

fn holds(value: &Value, texts: &[String]) -> bool {
    match value {
        Value::String(text) => texts.iter().any(|own| text.contains(own)),
        Value::Array(items) => items.iter().any(|item| holds(item, texts)),
        Value::Object(map) => map.values().any(|item| holds(item, texts)),
        _ => false,
    }
}

/// Cases name their rule as the samples do.
fn renamed(value: &Value, own: &str) -> Value {
    match value {
        Value::String(text) if text.contains(own) => {
            Value::String(text.replace(own, RULE_OF_CASES))
        }
        Value::Array(items) => items.iter().map(|item| renamed(item, own)).collect(),
        Value::Object(map) => {
            let inner = map
                .iter()
                .map(|(key, value)| (key.clone(), renamed(value, own)));
            Value::Object(inner.collect::<Map<_, _>>())
        }
        other => other.clone(),
    }
}

fn is_cut(value: &Value) -> bool {
    match value {
        Value::String(text) => text == HIDDEN,
        Value::Array(items) => items.iter().any(is_cut),
        Value::Object(map) => {
            map.get("shortened") == Some(&Value::Bool(true)) || map.values().any(is_cut)
        }
        _ => false,
    }
}
