//! Steps that the engine itself knows: branches, variables, delays, ends.
//!
//! Invariant: each leaves a memo that says all the walk needs to go on from.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    rule::{Step, StepBody},
    run::{ConditionTrace, Memo, StepOutcome},
};
use so_store::{StoreError, Tx};

use super::{
    advance::{After, Outbox},
    memo::begun,
    state::RunContext,
};
use crate::{decide::FactValues, engine::Engine, facts, schedule::parse_duration};

impl Engine {
    pub(super) async fn local_step(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<After, StoreError> {
        match &step.body {
            StepBody::Action(action) => {
                self.local_action(tx, cx, path, step, action, now, outbox)
                    .await
            }
            StepBody::If(_) | StepBody::Choose(_) => self.branch(tx, cx, path, step, now).await,
            StepBody::Set(_) => {
                let output = match cx.render(&format!("{path}/set"), now) {
                    Ok(values) => json!({"set": values}),
                    Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
                };
                self.put_done(tx, cx, path, step, Value::Null, output, now)
                    .await?;
                Ok(After::Go)
            }
            StepBody::Delay(body) => self.delay(tx, cx, path, step, &body.delay, now).await,
            StepBody::ForEach(body) => self.for_each(tx, cx, path, step, body, now).await,
            StepBody::Parallel(_) => self.parallel(tx, cx, path, step, now).await,
            StepBody::WaitFor(body) => self.wait_for(tx, cx, path, step, &body.wait_for, now).await,
            StepBody::Stop(body) => {
                let reason = match cx.render(&format!("{path}/stop"), now) {
                    Ok(value) => text_of(&value["reason"]),
                    Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
                };
                let mut memo = begun(path, step, 1, now);
                memo.outcome = StepOutcome::Stopped;
                memo.output = json!({"reason": reason, "error": body.stop.error});
                memo.finished_at = Some(now);
                self.put(tx, cx, memo).await?;
                Ok(After::Go)
            }
        }
    }

    async fn branch(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let (pointers, fallback) = ways_of(step, path);
        let mut taken = fallback.to_string();
        let mut traces = Vec::new();
        for (pointer, branch) in pointers {
            let values = facts_of(tx, cx, &pointer, now).await?;
            let trace = cx.explain(&pointer, now, &values);
            let held = trace.as_ref().is_some_and(|trace| trace.held == Some(true));
            traces.extend(trace);
            if held {
                taken = branch;
                break;
            }
        }
        let memo = taken_memo(path, step, &taken, fallback, traces, now);
        self.put(tx, cx, memo).await?;
        Ok(After::Go)
    }

    async fn delay(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        delay: &so_model::rule::Delay,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        if let Some(memo) = cx.memos.get(path).cloned() {
            let until = memo.output["until"]
                .as_str()
                .and_then(Timestamp::parse)
                .unwrap_or(now);
            if until > now {
                return Ok(After::Waits(format!("waits until {until}")));
            }
            let mut memo = memo;
            memo.outcome = StepOutcome::Done;
            memo.finished_at = Some(now);
            self.put(tx, cx, memo).await?;
            return Ok(After::Go);
        }
        let until = cx
            .render(&format!("{path}/delay"), now)
            .and_then(|value| end_of_delay(delay, &value, now));
        let until = match until {
            Ok(until) => until,
            Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
        };
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Waiting;
        memo.output = json!({"until": until});
        self.put(tx, cx, memo).await?;
        Ok(After::Go)
    }
}

/// The conditions of a branching step with the ways they open, and the way without a condition.
pub(super) fn ways_of(step: &Step, path: &str) -> (Vec<(String, String)>, &'static str) {
    match &step.body {
        StepBody::Choose(body) => {
            let way = |n| (format!("{path}/choose/{n}/if"), format!("choose/{n}/then"));
            ((0..body.choose.len()).map(way).collect(), "otherwise")
        }
        _ => (vec![(format!("{path}/if"), "then".to_owned())], "else"),
    }
}

/// The memo of a branching step that took a way.
pub(super) fn taken_memo(
    path: &str,
    step: &Step,
    taken: &str,
    fallback: &str,
    mut traces: Vec<ConditionTrace>,
    now: Timestamp,
) -> Memo {
    let mut memo = begun(path, step, 1, now);
    memo.outcome = StepOutcome::Done;
    memo.output = json!({"branch": taken});
    memo.condition = match traces.len() {
        1 => traces.pop(),
        _ => Some(ConditionTrace {
            path: format!("{path}/choose"),
            held: Some(taken != fallback),
            saw: Value::Null,
            text: "the first branch whose condition holds".into(),
            error: None,
            parts: traces,
        }),
    };
    memo.finished_at = Some(now);
    memo
}

/// The facts that a condition of a step asks for.
pub(super) async fn facts_of(
    tx: &mut Tx,
    cx: &RunContext,
    place: &str,
    now: Timestamp,
) -> Result<FactValues, StoreError> {
    let mut values = FactValues::default();
    for request in cx.facts_asked(place, now) {
        let value = facts::fetch(
            tx,
            cx.run.workspace,
            cx.run.rule,
            &request.fact,
            &request.params,
            now,
        )
        .await?;
        values.insert(request.key, value);
    }
    Ok(values)
}

/// When a delay is over.
pub(crate) fn end_of_delay(
    delay: &so_model::rule::Delay,
    value: &Value,
    now: Timestamp,
) -> Result<Timestamp, String> {
    if delay.until.is_some() {
        let text = text_of(&value["until"]);
        return Timestamp::parse(&text)
            .ok_or_else(|| format!("“{text}” is not a moment of the form 2026-11-24T09:00:00Z"));
    }
    parse_duration(&text_of(&value["for"]))
        .map(|span| now.plus(span))
        .map_err(|error| error.to_string())
}

/// A rendered value as a text.
pub(crate) fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
