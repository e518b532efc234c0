//! Runs without a database: the same walk, the same memos, and somebody else's answers.
//!
//! Owns no answer: what facts are and what an action says is asked of [`Around`]. Must not perform anything. Invariant:
//! what a step's memo says is put together by the functions that real runs use, so both tell the same.

use std::collections::HashMap;

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::Event,
    rule::{ActionStep, OnTimeout, Step, StepBody, WaitFor},
    run::{Memo, RunState, StepOutcome},
};

use super::{
    flow::{closed_memo, list_of},
    local::{next_attempt, tried_memo},
    memo::{begun, done_memo, failed_memo},
    rest::{end_of, wakes_at},
    state::{RunContext, shorten},
    steps::{end_of_delay, taken_memo, text_of, ways_of},
    walk::{Place, Standing, position},
};
use crate::{
    config::RUN_STEPS_MAX, decide::FactValues, plugin::ActionError, schedule::parse_duration,
};

/// Chance of the pauses between tries: the middle.
const MIDDLE: f64 = 0.5;

/// A call that a step makes.
pub(crate) struct Call<'a> {
    /// The run.
    pub(crate) cx: &'a RunContext,
    /// Place of the step.
    pub(crate) path: &'a str,
    /// What it calls.
    pub(crate) body: &'a ActionStep,
    /// Its parameters.
    pub(crate) with: &'a Value,
    /// Number of the try.
    pub(crate) attempt: i64,
    /// What it waits for, if it waited.
    pub(crate) waited: Option<&'a Value>,
    /// The moment.
    pub(crate) now: Timestamp,
}

/// What an action says.
pub(crate) enum Answer {
    /// It is done.
    Done(Value),
    /// This try failed.
    Failed(ActionError),
    /// It came out as it once did.
    As(Box<Memo>),
    /// It goes on at a moment, or when somebody wakes it.
    Wait(Value, Option<Timestamp>),
}

/// Facts that a condition looks at; the name of one that is not known.
pub(crate) struct Known {
    /// Those that are known.
    pub(crate) values: FactValues,
    /// The first that is not.
    pub(crate) missing: Option<String>,
}

/// The world around a run.
pub(crate) trait Around {
    /// Facts of a step's condition.
    fn facts(&mut self, cx: &RunContext, place: &str, now: Timestamp) -> Known;
    /// What an action says.
    fn answer(&mut self, call: &Call<'_>) -> Answer;
}

/// How far a run got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    /// It goes on at this moment.
    Until(Timestamp),
    /// It goes on when somebody wakes it.
    Sleeps,
    /// It is over.
    Over(RunState, Option<String>),
    /// It looks at a fact that nobody knows.
    Unknown(String),
}

/// A run that is carried on without a database.
pub(crate) struct DryRun {
    /// What it knows.
    pub(crate) cx: RunContext,
    /// Every try that ended, in order.
    pub(crate) ended: Vec<Memo>,
    /// Actions that wait, with the moment they go on at.
    waits: HashMap<String, Option<Timestamp>>,
    unknown: Option<String>,
}

impl DryRun {
    pub(crate) fn new(cx: RunContext) -> Self {
        Self {
            cx,
            ended: Vec::new(),
            waits: HashMap::new(),
            unknown: None,
        }
    }

    /// Whoever waits for nothing in particular looks again.
    pub(crate) fn wake(&mut self) {
        self.waits.retain(|_, until| until.is_some());
    }

    /// Goes on as far as this moment allows.
    pub(crate) fn carry(&mut self, around: &mut dyn Around, now: Timestamp) -> Got {
        let rule = self.cx.rule.clone();
        // One turn for each step, and one for each that runs out of time.
        for _ in 0..2 * RUN_STEPS_MAX {
            if let Some(fact) = self.unknown.take() {
                return Got::Unknown(fact);
            }
            let place = position(&rule.document.steps, &self.cx.memos);
            match place.standing {
                Standing::Open => {}
                Standing::Done => return Got::Over(RunState::Finished, None),
                Standing::Failed | Standing::Stopped => {
                    return match end_of(&self.cx, &place) {
                        super::rest::Rest::End(state, reason) => Got::Over(state, reason),
                        _ => Got::Over(RunState::Failed, None),
                    };
                }
            }
            if self.cx.memos.tries() > RUN_STEPS_MAX {
                break;
            }
            let late = place.timed.iter().find(|timed| {
                let deadline = self.cx.memos.deadline(&timed.path, timed.step);
                deadline.is_some_and(|deadline| deadline <= now)
            });
            if let Some(late) = late {
                let span = late.step.timeout.as_deref().unwrap_or_default();
                self.fail(
                    &late.path,
                    late.step,
                    format!("it took longer than {span}"),
                    now,
                );
                continue;
            }
            let ready = place.open.iter().find(|open| match self.goes_on(open) {
                Goes::Now => true,
                Goes::At(at) => at <= now,
                Goes::Woken => false,
            });
            match ready {
                Some(open) => self.step(around, &open.path, open.step, now),
                None => return self.rests(&place),
            }
        }
        let reason = format!("the run took more than {RUN_STEPS_MAX} steps");
        Got::Over(RunState::Failed, Some(reason))
    }

    fn goes_on(&self, place: &Place<'_>) -> Goes {
        if let Some(at) = wakes_at(&self.cx.memos, place) {
            return Goes::At(at);
        }
        match self.waits.get(&place.path) {
            Some(Some(at)) => Goes::At(*at),
            Some(None) => Goes::Woken,
            None => Goes::Now,
        }
    }

    fn rests(&self, place: &super::walk::Position<'_>) -> Got {
        let wakes = place
            .open
            .iter()
            .filter_map(|open| match self.goes_on(open) {
                Goes::At(at) => Some(at),
                Goes::Now | Goes::Woken => None,
            });
        let deadlines = place.timed.iter();
        let deadlines =
            deadlines.filter_map(|timed| self.cx.memos.deadline(&timed.path, timed.step));
        wakes.chain(deadlines).min().map_or(Got::Sleeps, Got::Until)
    }

    /// Kinds of the events it waits for now.
    pub(crate) fn waits_for(&self) -> Vec<String> {
        let place = position(&self.cx.rule.document.steps, &self.cx.memos);
        let kinds = place.open.iter().filter_map(|open| match &open.step.body {
            StepBody::WaitFor(body) => Some(body.wait_for.event.clone()),
            _ => None,
        });
        kinds.collect()
    }

    /// An event came: whoever waits for it has it. True if somebody did.
    pub(crate) fn meet(
        &mut self,
        around: &mut dyn Around,
        event: &std::sync::Arc<Event>,
        now: Timestamp,
    ) -> bool {
        let rule = self.cx.rule.clone();
        let open = position(&rule.document.steps, &self.cx.memos).open;
        let mut met = false;
        for Place { path, step } in open {
            let StepBody::WaitFor(body) = &step.body else {
                continue;
            };
            let Some(memo) = self.cx.memos.get(&path) else {
                continue;
            };
            let subject = memo.output["subject"].as_str();
            if event.kind != body.wait_for.event
                || subject.is_some_and(|subject| event.subject.as_deref() != Some(subject))
            {
                continue;
            }
            let condition = format!("{path}/wait_for/if");
            if body.wait_for.condition.is_some() {
                let seen = RunContext {
                    run: self.cx.run.clone(),
                    // The condition is about the event that came, with what the run knows.
                    event: event.clone(),
                    rule: self.cx.rule.clone(),
                    workspace: self.cx.workspace.clone(),
                    memos: self.cx.memos.clone(),
                };
                let known = around.facts(&seen, &condition, now);
                let trace = seen.explain(&condition, now, &known.values);
                let held = trace.and_then(|trace| trace.held);
                if held.is_none() && known.missing.is_some() {
                    self.unknown = known.missing;
                    return true;
                }
                if held != Some(true) {
                    continue;
                }
            }
            let came = json!({"id": event.id, "kind": event.kind, "source": event.source,
                "subject": event.subject, "time": event.time, "data": event.data});
            let output = json!({"timed_out": false, "event": came});
            self.done(&path, step, Value::Null, output, now);
            met = true;
        }
        met
    }

    fn step(&mut self, around: &mut dyn Around, path: &str, step: &Step, now: Timestamp) {
        match &step.body {
            StepBody::Action(body) => self.action(around, path, step, body, now),
            StepBody::If(_) | StepBody::Choose(_) => self.branch(around, path, step, now),
            StepBody::Set(_) => match self.cx.render(&format!("{path}/set"), now) {
                Ok(values) => self.done(path, step, Value::Null, json!({"set": values}), now),
                Err(reason) => self.fail(path, step, reason, now),
            },
            StepBody::Stop(body) => match self.cx.render(&format!("{path}/stop"), now) {
                Ok(value) => {
                    let mut memo = begun(path, step, 1, now);
                    memo.outcome = StepOutcome::Stopped;
                    memo.output =
                        json!({"reason": text_of(&value["reason"]), "error": body.stop.error});
                    memo.finished_at = Some(now);
                    self.put(memo);
                }
                Err(reason) => self.fail(path, step, reason, now),
            },
            StepBody::Delay(body) => {
                if let Some(mut memo) = self.cx.memos.get(path).cloned() {
                    memo.outcome = StepOutcome::Done;
                    memo.finished_at = Some(now);
                    return self.put(memo);
                }
                let until = self.cx.render(&format!("{path}/delay"), now);
                match until.and_then(|value| end_of_delay(&body.delay, &value, now)) {
                    Ok(until) => self.wait(path, step, json!({"until": until}), now),
                    Err(reason) => self.fail(path, step, reason, now),
                }
            }
            StepBody::WaitFor(body) => self.wait_for(path, step, &body.wait_for, now),
            StepBody::ForEach(_) | StepBody::Parallel(_) if self.cx.memos.get(path).is_some() => {
                if let Some(memo) = closed_memo(&self.cx, path, step, now) {
                    self.put(memo);
                }
            }
            StepBody::ForEach(body) => {
                let items = self.cx.render(&format!("{path}/for_each"), now);
                let longest = body.for_each.longest();
                match items.and_then(|value| list_of(value["items"].clone(), longest)) {
                    Ok(items) => self.wait(path, step, json!({ "items": items }), now),
                    Err(reason) => self.fail(path, step, reason, now),
                }
            }
            StepBody::Parallel(_) => self.wait(path, step, Value::Null, now),
        }
    }

    fn action(
        &mut self,
        around: &mut dyn Around,
        path: &str,
        step: &Step,
        body: &ActionStep,
        now: Timestamp,
    ) {
        let with = match self.cx.render(&format!("{path}/with"), now) {
            Ok(with) => with,
            Err(reason) => return self.fail(path, step, reason, now),
        };
        let waited = self.cx.memos.get(path);
        let waited = waited.filter(|memo| memo.outcome == StepOutcome::Waiting);
        let answer = around.answer(&Call {
            cx: &self.cx,
            path,
            body,
            with: &with,
            attempt: next_attempt(&self.cx, path),
            waited: waited.map(|memo| &memo.output),
            now,
        });
        self.waits.remove(path);
        match answer {
            Answer::Done(output) => self.done(path, step, with, output, now),
            Answer::Failed(error) => {
                let memo = tried_memo(&self.cx, path, step, body, with, &error, MIDDLE, now);
                self.put(memo);
            }
            Answer::As(told) => {
                let mut memo = done_memo(&self.cx, path, step, with, told.output, now);
                memo.outcome = told.outcome;
                memo.error = told.error;
                self.put(memo);
            }
            Answer::Wait(output, until) => {
                let mut memo = match self.cx.memos.get(path) {
                    Some(memo) if memo.finished_at.is_none() => memo.clone(),
                    _ => begun(path, step, next_attempt(&self.cx, path), now),
                };
                memo.input = shorten(with);
                memo.outcome = StepOutcome::Waiting;
                memo.output = output;
                self.cx.memos.put(memo);
                self.waits.insert(path.to_owned(), until);
            }
        }
    }

    fn branch(&mut self, around: &mut dyn Around, path: &str, step: &Step, now: Timestamp) {
        let (ways, fallback) = ways_of(step, path);
        let mut taken = fallback.to_owned();
        let mut traces = Vec::new();
        for (condition, branch) in ways {
            let known = around.facts(&self.cx, &condition, now);
            let trace = self.cx.explain(&condition, now, &known.values);
            let held = trace.as_ref().and_then(|trace| trace.held);
            if held.is_none() && known.missing.is_some() {
                self.unknown = known.missing;
                return;
            }
            traces.extend(trace);
            if held == Some(true) {
                taken = branch;
                break;
            }
        }
        self.put(taken_memo(path, step, &taken, fallback, traces, now));
    }

    fn wait_for(&mut self, path: &str, step: &Step, wait: &WaitFor, now: Timestamp) {
        // It is looked at again when its time is over.
        if self.cx.memos.get(path).is_some() {
            if wait.on_timeout == OnTimeout::Fail {
                let reason = format!("no event {} came within {}", wait.event, wait.timeout);
                return self.fail(path, step, reason, now);
            }
            let timed_out = json!({"timed_out": true, "event": null});
            return self.done(path, step, Value::Null, timed_out, now);
        }
        let subject = match &wait.subject {
            None => None,
            Some(_) => match self.cx.render(&format!("{path}/wait_for"), now) {
                Ok(value) => Some(text_of(&value["subject"])),
                Err(reason) => return self.fail(path, step, reason, now),
            },
        };
        match parse_duration(&wait.timeout) {
            Ok(span) => {
                let output =
                    json!({"until": now.plus(span), "event": wait.event, "subject": subject});
                self.wait(path, step, output, now);
            }
            Err(error) => self.fail(path, step, error.to_string(), now),
        }
    }

    fn wait(&mut self, path: &str, step: &Step, output: Value, now: Timestamp) {
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Waiting;
        memo.output = output;
        self.put(memo);
    }

    fn done(&mut self, path: &str, step: &Step, with: Value, output: Value, now: Timestamp) {
        self.put(done_memo(&self.cx, path, step, with, output, now));
    }

    fn fail(&mut self, path: &str, step: &Step, reason: String, now: Timestamp) {
        self.put(failed_memo(&self.cx, path, step, reason, now));
    }

    fn put(&mut self, memo: Memo) {
        if memo.finished_at.is_some() {
            self.ended.push(memo.clone());
        }
        self.cx.memos.put(memo);
    }
}

/// When an open step goes on.
enum Goes {
    Now,
    At(Timestamp),
    Woken,
}
