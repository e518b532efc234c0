//! Runs the cases of a rule through the engine's own decision and rendering.
//!
//! Invariant: no step is performed; what a step would answer is given or is its
//! action's sample.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use so_engine::{
    decide::{CompiledRule, DecisionInput, FactValues, WorkspaceFacts, decide},
    rule::Catalogue,
    run::{Memos, Next, RunContext, next_step},
};
use so_model::{
    Timestamp,
    event::{Cause, Event},
    id::{EventId, RunId},
    rule::{Step, StepBody},
    run::{Decision, Memo, Run, RunState, StepOutcome, Verdict},
};

/// Steps walked before a case counts as endless; more than any rule may have.
const STEPS_MAX: usize = 500;
/// Moment of cases that name none: 2026-06-01T08:00:00Z, a Monday.
const NOW: Timestamp = Timestamp::from_micros(1_780_300_800_000_000);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    event: Happening,
    #[serde(default)]
    now: Option<Timestamp>,
    #[serde(default)]
    facts: BTreeMap<String, Value>,
    #[serde(default)]
    outputs: Map<String, Value>,
    fires: bool,
    #[serde(default)]
    because: Option<String>,
    #[serde(default)]
    steps: Option<Vec<Called>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Happening {
    kind: String,
    data: Value,
}

/// A call as a case expects it, and as it was made.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Called {
    id: String,
    action: String,
    #[serde(default)]
    with: Value,
}

/// What is wrong with the cases of a rule.
pub(super) fn check(
    name: &str,
    cases: &Value,
    rule: &Arc<CompiledRule>,
    catalogue: &Catalogue,
) -> Vec<String> {
    let file: File = match serde_json::from_value(cases.clone()) {
        Ok(file) => file,
        Err(error) => return vec![format!("{name}: the cases cannot be read: {error}")],
    };
    let runs = |case: &Case| check_one(case, rule, catalogue).err();
    file.cases
        .iter()
        .filter_map(|case| runs(case).map(|problem| format!("{name}, {}: {problem}", case.name)))
        .collect()
}

fn check_one(case: &Case, rule: &Arc<CompiledRule>, catalogue: &Catalogue) -> Result<(), String> {
    let now = case.now.unwrap_or(NOW);
    let event = event(case, rule, now);
    let workspace = Arc::new(WorkspaceFacts {
        id: rule.workspace,
        name: "Example".into(),
        time_zone: "Europe/Berlin"
            .parse()
            .map_err(|_| "the zone of the cases is unknown")?,
    });
    let facts: FactValues = case.facts.clone().into_iter().collect();
    let input = DecisionInput::new(&event, &workspace, now, &facts);
    let told = decision(rule, &input);
    let fires = told.verdict == Verdict::Started;
    if fires != case.fires {
        return Err(format!(
            "expected fires to be {}, but: {}",
            case.fires, told.reason
        ));
    }
    if let Some(because) = case
        .because
        .as_ref()
        .filter(|because| !told.reason.contains(*because))
    {
        return Err(format!(
            "expected a reason with \"{because}\", but: {}",
            told.reason
        ));
    }
    if !fires {
        return Ok(());
    }
    let run = run(rule, &event, &told, now);
    let mut cx = RunContext {
        run,
        event: Arc::new(event.clone()),
        rule: rule.clone(),
        workspace,
        memos: Memos::default(),
    };
    let called = walk(&mut cx, case, catalogue, now)?;
    match &case.steps {
        Some(wanted) if *wanted != called => Err(format!(
            "expected the calls {wanted:#?}, but there were {called:#?}"
        )),
        _ => Ok(()),
    }
}

/// The decision of the first trigger that means the event.
fn decision(rule: &CompiledRule, input: &DecisionInput<'_>) -> Decision {
    let count = rule.triggers.len().max(1);
    let mut told = decide(rule, 0, input);
    for trigger in 1..count {
        if told.verdict != Verdict::TriggerMismatch {
            break;
        }
        told = decide(rule, trigger, input);
    }
    told
}

fn event(case: &Case, rule: &CompiledRule, now: Timestamp) -> Event {
    let id = EventId::derived(&["case", &case.name]);
    Event {
        id,
        workspace: rule.workspace,
        kind: case.event.kind.clone(),
        source: "case".into(),
        dedupe: id.to_string(),
        subject: None,
        time: now,
        data: case.event.data.clone(),
        cause: Cause::default(),
    }
}

fn run(rule: &CompiledRule, event: &Event, told: &Decision, now: Timestamp) -> Run {
    Run {
        id: RunId::derived(&["case", &event.dedupe]),
        workspace: rule.workspace,
        rule: rule.id,
        version: rule.version,
        event: event.id,
        trigger: told.trigger.clone(),
        state: RunState::Running,
        key: String::new(),
        decision: told
            .trace
            .clone()
            .unwrap_or_else(so_model::run::ConditionTrace::unconditional),
        reason: None,
        created_at: now,
        finished_at: None,
    }
}

/// Goes through the steps as a run would; answers the calls it would make.
fn walk(
    cx: &mut RunContext,
    case: &Case,
    catalogue: &Catalogue,
    now: Timestamp,
) -> Result<Vec<Called>, String> {
    let rule = cx.rule.clone();
    let mut called = Vec::new();
    for tick in 0..STEPS_MAX {
        let Next::Step(path, step) = next_step(&rule.document.steps, &cx.memos) else {
            return Ok(called);
        };
        // Later steps begin later, so that variables are read in their order.
        let at = now.plus(i64::try_from(tick).unwrap_or(0));
        let output = match &step.body {
            StepBody::Action(action) => {
                let with = cx.render(&format!("{path}/with"), now)?;
                called.push(Called {
                    id: step.id.clone(),
                    action: action.action.clone(),
                    with,
                });
                match case.outputs.get(&step.id) {
                    Some(given) => given.clone(),
                    None => catalogue
                        .actions
                        .get(&action.action)
                        .map(|spec| spec.sample_output.clone())
                        .unwrap_or_default(),
                }
            }
            StepBody::If(_) | StepBody::Choose(_) => {
                json!({"branch": branch(cx, &path, step, now)})
            }
            StepBody::Set(_) => json!({"set": cx.render(&format!("{path}/set"), now)?}),
            StepBody::Stop(_) => return Ok(called),
            StepBody::Delay(_) => Value::Null,
            StepBody::ForEach(_) | StepBody::Parallel(_) | StepBody::WaitFor(_) => {
                return Err(format!("{path}: cases cannot walk this kind of step"));
            }
        };
        cx.memos.put(done(path, step, output, at));
    }
    Err("the rule does not come to its end".into())
}

fn branch(cx: &RunContext, path: &str, step: &Step, now: Timestamp) -> String {
    let none = FactValues::default();
    let holds = |pointer: &str| {
        cx.explain(pointer, now, &none)
            .is_some_and(|trace| trace.held == Some(true))
    };
    match &step.body {
        StepBody::Choose(body) => (0..body.choose.len())
            .find(|index| holds(&format!("{path}/choose/{index}/if")))
            .map_or_else(
                || "otherwise".into(),
                |index| format!("choose/{index}/then"),
            ),
        _ if holds(&format!("{path}/if")) => "then".into(),
        _ => "else".into(),
    }
}

fn done(path: String, step: &Step, output: Value, at: Timestamp) -> Memo {
    Memo {
        path,
        step: step.id.clone(),
        attempt: 1,
        outcome: StepOutcome::Done,
        input: Value::Null,
        output,
        error: None,
        condition: None,
        started_at: at,
        finished_at: Some(at),
    }
}
