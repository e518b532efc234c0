//! How a step's outcome and its events are written.
//!
//! Invariant: a memo that is finished is never changed; another try is another memo.

use serde_json::Value;
use so_model::{
    Timestamp,
    event::{Cause, NewEvent},
    rule::Step,
    run::{Memo, StepOutcome},
};
use so_store::{StoreError, Tx, runs};

use super::{
    advance::{After, Outbox},
    state::{RunContext, shorten},
};
use crate::{config::RUN_EVENTS_MAX, engine::Engine};

impl Engine {
    /// Notes that a step failed for good; what follows is told by the walk.
    pub(super) async fn fail_step(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        reason: String,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        self.put(tx, cx, failed_memo(cx, path, step, reason, now))
            .await?;
        Ok(After::Go)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a finished memo has this many parts"
    )]
    pub(super) async fn put_done(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        input: Value,
        output: Value,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let memo = done_memo(cx, path, step, input, output, now);
        self.put(tx, cx, memo).await
    }

    pub(super) async fn put(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        memo: Memo,
    ) -> Result<(), StoreError> {
        if cx.memos.put_back(&memo) {
            return Ok(());
        }
        // A forecast writes those of runs that wait, all at once.
        if self.config.refusals.is_none() {
            runs::put_memo(tx, cx.run.workspace, cx.run.id, &memo).await?;
        }
        cx.memos.put(memo);
        Ok(())
    }

    /// Stores events that a step made, within the run's budget.
    pub(super) async fn emit_all(
        &self,
        tx: &mut Tx,
        cx: &RunContext,
        made: Vec<NewEvent>,
        outbox: &mut Outbox,
    ) -> Result<Option<String>, StoreError> {
        if made.is_empty() {
            return Ok(None);
        }
        let own = cx
            .rule
            .document
            .limits
            .max_events_per_run
            .map_or(RUN_EVENTS_MAX, i64::from);
        let max = own.min(RUN_EVENTS_MAX);
        let count = i64::try_from(made.len()).unwrap_or(i64::MAX);
        // In a forecast steps and runs have bounds, and events one only if the rule says so.
        let is_counted =
            self.config.refusals.is_none() || cx.rule.document.limits.max_events_per_run.is_some();
        if is_counted && runs::add_events(tx, cx.run.id, count).await? > max {
            return Ok(Some(format!("the run made more than {max} events")));
        }
        for mut event in made {
            event.cause = Cause::of(&cx.event, cx.run.id, cx.run.rule);
            outbox.admissions.push(self.admit(tx, event).await?);
        }
        Ok(None)
    }
}

/// The memo of a step that came to its end.
pub(super) fn done_memo(
    cx: &RunContext,
    path: &str,
    step: &Step,
    input: Value,
    output: Value,
    now: Timestamp,
) -> Memo {
    let mut memo = match cx.memos.get(path) {
        Some(memo) if memo.finished_at.is_none() => memo.clone(),
        Some(memo) => begun(path, step, memo.attempt + 1, now),
        None => begun(path, step, 1, now),
    };
    memo.outcome = StepOutcome::Done;
    if !input.is_null() {
        memo.input = shorten(input);
    }
    memo.output = output;
    memo.finished_at = Some(now);
    memo
}

/// The memo of a step that failed for good.
pub(super) fn failed_memo(
    cx: &RunContext,
    path: &str,
    step: &Step,
    reason: String,
    now: Timestamp,
) -> Memo {
    let mut memo = match cx.memos.get(path) {
        Some(memo) if memo.finished_at.is_none() => memo.clone(),
        Some(memo) => begun(path, step, memo.attempt + 1, now),
        None => begun(path, step, 1, now),
    };
    memo.outcome = StepOutcome::Failed;
    memo.error = Some(reason);
    memo.finished_at = Some(now);
    memo
}

/// A memo of a try that begins now.
pub(super) fn begun(path: &str, step: &Step, attempt: i64, now: Timestamp) -> Memo {
    Memo {
        path: path.to_string(),
        step: step.id.clone(),
        attempt,
        outcome: StepOutcome::Started,
        input: Value::Null,
        output: Value::Null,
        error: None,
        condition: None,
        started_at: now,
        finished_at: None,
    }
}
