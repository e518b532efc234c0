//! The walk through a rule's steps on a clock of its own.
//!
//! Owns what a step answers: what the case gives, or the sample of its action. Must not perform anything. Invariant:
//! which step is next is told by the same position as in real runs.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    case::{Case, CaseCall, CaseEnd},
    event::Event,
    rule::{ActionStep, Delay, OnTimeout, Step, StepBody, WaitFor},
    run::{ConditionTrace, Memo, StepOutcome},
};

use super::trial::{event_of, fact};
use crate::{
    decide::FactValues,
    rule::Catalogue,
    run::{Place, RunContext, Standing, delay_before, ends_of, position},
    schedule::parse_duration,
};

/// Steps walked before a case counts as endless; loops repeat those of the document.
const STEPS_MAX: usize = 5_000;
/// Randomness of the pauses between tries: none.
const MIDDLE: f64 = 0.5;

pub(super) struct Walk<'a> {
    cx: RunContext,
    case: &'a Case,
    catalogue: &'a Catalogue,
    now: Timestamp,
    /// Events still to come, the latest first.
    meanwhile: Vec<(Timestamp, Event)>,
    /// Calls in order.
    pub(super) calls: Vec<CaseCall>,
    /// Moments that were waited for.
    pub(super) timers: Vec<Timestamp>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(
        cx: RunContext,
        case: &'a Case,
        catalogue: &'a Catalogue,
        now: Timestamp,
    ) -> Result<Self, String> {
        let mut meanwhile = Vec::new();
        for (index, coming) in case.meanwhile.iter().enumerate() {
            let span = parse_duration(&coming.after).map_err(|error| error.to_string())?;
            let at = now.plus(span);
            let name = format!("{} meanwhile {index}", case.name);
            meanwhile.push((at, event_of(&coming.event, &name, &cx.rule, at)));
        }
        meanwhile.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        Ok(Self {
            cx,
            case,
            catalogue,
            now,
            meanwhile,
            calls: Vec::new(),
            timers: Vec::new(),
        })
    }

    pub(super) fn memos(&self) -> impl Iterator<Item = &Memo> {
        self.cx.memos.iter()
    }

    /// Goes on until the run is over.
    pub(super) fn run_out(&mut self) -> Result<(CaseEnd, String), String> {
        let rule = self.cx.rule.clone();
        for _ in 0..STEPS_MAX {
            let place = position(&rule.document.steps, &self.cx.memos);
            match place.standing {
                Standing::Open => {}
                Standing::Done => return Ok((CaseEnd::Finished, String::new())),
                Standing::Failed | Standing::Stopped => return Ok(self.end(place.culprit.as_ref())),
            }
            let now = self.now;
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
                    "",
                );
                continue;
            }
            let ready = place.open.iter().find(|open| {
                let wakes = self.wakes_at(open);
                wakes.is_none_or(|at| at <= now)
            });
            match ready {
                Some(open) => self.step(&open.path, open.step),
                None => self.sleep(&place)?,
            }
        }
        Err("the rule does not come to its end".into())
    }

    fn end(&self, culprit: Option<&Place<'_>>) -> (CaseEnd, String) {
        let memo = culprit.and_then(|place| self.cx.memos.get(&place.path));
        let Some(memo) = memo else {
            return (CaseEnd::Failed, String::new());
        };
        if memo.outcome == StepOutcome::Failed {
            let error = memo.error.as_deref().unwrap_or("failed");
            return (CaseEnd::Failed, format!("step {}: {error}", memo.step));
        }
        let end = match memo.output["error"] == true {
            true => CaseEnd::Failed,
            false => CaseEnd::Finished,
        };
        (end, text_of(&memo.output["reason"]))
    }

    /// When an open step goes on by itself, if it has begun.
    fn wakes_at(&self, place: &Place<'_>) -> Option<Timestamp> {
        let memo = self.cx.memos.get(&place.path)?;
        let name = match (memo.outcome, &place.step.body) {
            (StepOutcome::Retrying, _) => "next_try_at",
            (StepOutcome::Waiting, StepBody::Delay(_) | StepBody::WaitFor(_)) => "until",
            _ => return None,
        };
        memo.output[name].as_str().and_then(Timestamp::parse)
    }

    /// Nothing is to be done now: the clock goes to the next moment, or to the next event.
    fn sleep(&mut self, place: &crate::run::Position<'_>) -> Result<(), String> {
        let wakes = place.open.iter().filter_map(|open| self.wakes_at(open));
        let deadlines = place.timed.iter();
        let deadlines =
            deadlines.filter_map(|timed| self.cx.memos.deadline(&timed.path, timed.step));
        let Some(until) = wakes.chain(deadlines).min() else {
            return Err("the run waits for nothing that could come".into());
        };
        if self.timers.last() != Some(&until) {
            self.timers.push(until);
        }
        match self.meanwhile.pop_if(|(at, _)| *at <= until) {
            Some((at, event)) => {
                self.now = self.now.max(at);
                let open: Vec<(String, &Step)> = place
                    .open
                    .iter()
                    .map(|open| (open.path.clone(), open.step))
                    .collect();
                for (path, step) in open {
                    self.meet(&path, step, &event);
                }
            }
            None => self.now = until,
        }
        Ok(())
    }

    /// An event came: does this step wait for it?
    fn meet(&mut self, path: &str, step: &Step, event: &Event) {
        let StepBody::WaitFor(body) = &step.body else {
            return;
        };
        let Some(memo) = self.cx.memos.get(path) else {
            return;
        };
        let subject = memo.output["subject"].as_str();
        if event.kind != body.wait_for.event
            || subject.is_some_and(|subject| event.subject.as_deref() != Some(subject))
        {
            return;
        }
        let condition = format!("{path}/wait_for/if");
        if body.wait_for.condition.is_some() {
            let seen = RunContext {
                run: self.cx.run.clone(),
                event: std::sync::Arc::new(event.clone()),
                rule: self.cx.rule.clone(),
                workspace: self.cx.workspace.clone(),
                memos: self.cx.memos.clone(),
            };
            let values = self.facts(&seen, &condition);
            let trace = seen.explain(&condition, self.now, &values);
            if trace.is_none_or(|trace| trace.held != Some(true)) {
                return;
            }
        }
        let came = json!({"id": event.id, "kind": event.kind, "source": event.source,
            "subject": event.subject, "time": event.time, "data": event.data});
        self.done(path, step, json!({"timed_out": false, "event": came}));
    }

    fn step(&mut self, path: &str, step: &Step) {
        match &step.body {
            StepBody::Action(body) => self.action(path, step, body),
            StepBody::If(_) | StepBody::Choose(_) => self.branch(path, step),
            StepBody::Set(_) => match self.cx.render(&format!("{path}/set"), self.now) {
                Ok(values) => self.done(path, step, json!({"set": values})),
                Err(reason) => self.fail(path, step, reason, ""),
            },
            StepBody::Stop(body) => match self.cx.render(&format!("{path}/stop"), self.now) {
                Ok(value) => {
                    let output =
                        json!({"reason": text_of(&value["reason"]), "error": body.stop.error});
                    self.put(path, step, StepOutcome::Stopped, output, true);
                }
                Err(reason) => self.fail(path, step, reason, ""),
            },
            StepBody::Delay(body) => self.delay(path, step, &body.delay),
            StepBody::WaitFor(body) => self.wait_for(path, step, &body.wait_for),
            StepBody::ForEach(_) | StepBody::Parallel(_) if self.cx.memos.get(path).is_some() => {
                self.close(path, step);
            }
            StepBody::ForEach(body) => {
                let items = self.cx.render(&format!("{path}/for_each"), self.now);
                let items =
                    items.and_then(|value| list_of(&value["items"], body.for_each.longest()));
                match items {
                    Ok(items) => {
                        self.put(
                            path,
                            step,
                            StepOutcome::Waiting,
                            json!({"items": items}),
                            false,
                        );
                    }
                    Err(reason) => self.fail(path, step, reason, ""),
                }
            }
            StepBody::Parallel(_) => {
                self.put(path, step, StepOutcome::Waiting, Value::Null, false);
            }
        }
    }

    fn action(&mut self, path: &str, step: &Step, body: &ActionStep) {
        let tried = self.cx.memos.get(path).map_or(0, |memo| memo.attempt);
        let with = match self.cx.render(&format!("{path}/with"), self.now) {
            Ok(with) => with,
            Err(reason) => return self.fail(path, step, reason, "step.template"),
        };
        if tried == 0 {
            self.calls.push(CaseCall {
                id: step.id.clone(),
                action: body.action.clone(),
                with: Some(with),
            });
        }
        if let Some(failure) = self.case.failures.get(&step.id)
            && failure.times.is_none_or(|times| tried < i64::from(times))
        {
            let policy = body.retry.clone().unwrap_or_default();
            let attempt = tried + 1;
            let at = self.now.plus(delay_before(&policy, attempt, MIDDLE, None));
            let in_time = self
                .cx
                .memos
                .deadline(path, step)
                .is_none_or(|deadline| at < deadline);
            if failure.times.is_some() && attempt < i64::from(policy.tries) && in_time {
                let output = json!({"code": failure.code, "next_try_at": at});
                let mut memo = self.memo(path, step, StepOutcome::Retrying, output, true);
                memo.error = Some(failure.message.clone());
                self.cx.memos.put(memo);
                return;
            }
            return self.fail(path, step, failure.message.clone(), &failure.code);
        }
        let sample = || {
            let spec = self.catalogue.actions.get(&body.action);
            spec.map(|spec| spec.sample_output.clone())
        };
        let given = self.case.outputs.get(&step.id).cloned();
        let output = given.or_else(sample).unwrap_or_default();
        self.done(path, step, output);
    }

    fn branch(&mut self, path: &str, step: &Step) {
        let (ways, fallback): (Vec<(String, String)>, &str) = match &step.body {
            StepBody::Choose(body) => {
                let way = |n: usize| (format!("choose/{n}/if"), format!("choose/{n}/then"));
                ((0..body.choose.len()).map(way).collect(), "otherwise")
            }
            _ => (vec![("if".into(), "then".into())], "else"),
        };
        let mut taken = fallback.to_owned();
        let mut traces = Vec::new();
        for (condition, branch) in ways {
            let place = format!("{path}/{condition}");
            let values = self.facts(&self.cx, &place);
            let trace = self.cx.explain(&place, self.now, &values);
            let held = trace.as_ref().is_some_and(|trace| trace.held == Some(true));
            traces.extend(trace);
            if held {
                taken = branch;
                break;
            }
        }
        let mut memo = self.memo(
            path,
            step,
            StepOutcome::Done,
            json!({"branch": taken}),
            true,
        );
        memo.condition = Some(ConditionTrace {
            path: format!("{path}/choose"),
            held: Some(taken != fallback),
            saw: Value::Null,
            text: String::new(),
            error: None,
            parts: traces,
        });
        self.cx.memos.put(memo);
    }

    fn delay(&mut self, path: &str, step: &Step, delay: &Delay) {
        if let Some(memo) = self.cx.memos.get(path) {
            let output = memo.output.clone();
            return self.done(path, step, output);
        }
        let until = self
            .cx
            .render(&format!("{path}/delay"), self.now)
            .and_then(|value| end_of(delay, &value, self.now));
        match until {
            Ok(until) => self.put(
                path,
                step,
                StepOutcome::Waiting,
                json!({"until": until}),
                false,
            ),
            Err(reason) => self.fail(path, step, reason, ""),
        }
    }

    fn wait_for(&mut self, path: &str, step: &Step, wait: &WaitFor) {
        if let Some(given) = self.case.outputs.get(&step.id) {
            return self.done(path, step, given.clone());
        }
        if self.cx.memos.get(path).is_some() {
            if wait.on_timeout == OnTimeout::Fail {
                let reason = format!("no event {} came within {}", wait.event, wait.timeout);
                return self.fail(path, step, reason, "");
            }
            return self.done(path, step, json!({"timed_out": true, "event": null}));
        }
        let subject = match &wait.subject {
            None => Value::Null,
            Some(_) => match self.cx.render(&format!("{path}/wait_for"), self.now) {
                Ok(value) => Value::String(text_of(&value["subject"])),
                Err(reason) => return self.fail(path, step, reason, ""),
            },
        };
        match parse_duration(&wait.timeout) {
            Ok(span) => {
                let output =
                    json!({"until": self.now.plus(span), "event": wait.event, "subject": subject});
                self.put(path, step, StepOutcome::Waiting, output, false);
            }
            Err(error) => self.fail(path, step, error.to_string(), ""),
        }
    }

    /// Every way or element has come to its end.
    fn close(&mut self, path: &str, step: &Step) {
        let (count, failed) = ends_of(step, path, &self.cx.memos);
        let Some(first) = failed.first() else {
            return self.done(path, step, json!({"count": count, "failed": 0}));
        };
        let error = self.cx.memos.get(&first.path);
        let error = error
            .and_then(|memo| memo.error.clone())
            .unwrap_or_default();
        let reason = format!(
            "{} of {count} failed; the first at step {}: {error}",
            failed.len(),
            first.step.id
        );
        let output = json!({"count": count, "failed": failed.len()});
        let mut memo = self.memo(path, step, StepOutcome::Failed, output, true);
        memo.error = Some(reason);
        self.cx.memos.put(memo);
    }

    fn facts(&self, cx: &RunContext, place: &str) -> FactValues {
        let asked = cx.facts_asked(place, self.now).into_iter();
        let found = asked.map(|request| {
            let value = fact(self.case, &request.key, &request.fact);
            (request.key, value)
        });
        found.collect()
    }

    fn done(&mut self, path: &str, step: &Step, output: Value) {
        self.put(path, step, StepOutcome::Done, output, true);
    }

    fn fail(&mut self, path: &str, step: &Step, reason: String, code: &str) {
        let mut memo = self.memo(path, step, StepOutcome::Failed, json!({"code": code}), true);
        memo.error = Some(reason);
        self.cx.memos.put(memo);
    }

    fn put(&mut self, path: &str, step: &Step, outcome: StepOutcome, output: Value, is_over: bool) {
        let memo = self.memo(path, step, outcome, output, is_over);
        self.cx.memos.put(memo);
    }

    fn memo(
        &self,
        path: &str,
        step: &Step,
        outcome: StepOutcome,
        output: Value,
        is_over: bool,
    ) -> Memo {
        let known = self.cx.memos.get(path);
        let attempt = match known {
            Some(known) if known.finished_at.is_none() => known.attempt,
            Some(known) => known.attempt + 1,
            None => 1,
        };
        let under_way = known.filter(|known| known.finished_at.is_none());
        Memo {
            path: path.to_owned(),
            step: step.id.clone(),
            attempt,
            outcome,
            input: Value::Null,
            output,
            error: None,
            condition: None,
            started_at: under_way.map_or(self.now, |known| known.started_at),
            finished_at: is_over.then_some(self.now),
        }
    }
}

fn end_of(delay: &Delay, value: &Value, now: Timestamp) -> Result<Timestamp, String> {
    if delay.until.is_some() {
        let text = text_of(&value["until"]);
        return Timestamp::parse(&text)
            .ok_or_else(|| format!("\"{text}\" is not a moment of the form 2026-11-24T09:00:00Z"));
    }
    parse_duration(&text_of(&value["for"]))
        .map(|span| now.plus(span))
        .map_err(|error| error.to_string())
}

fn list_of(value: &Value, longest: usize) -> Result<Vec<Value>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(items) if items.len() <= longest => Ok(items.clone()),
        Value::Array(items) => Err(format!(
            "the list has {} elements, at most {longest} are allowed",
            items.len()
        )),
        _ => Err("for_each needs a list".into()),
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
