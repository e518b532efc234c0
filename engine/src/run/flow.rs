//! Loops, ways side by side, and steps that are out of time.
//!
//! Invariant: such a step has one memo, begun before anything inside it and finished after everything; what is
//! inside has memos of its own.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    rule::{ForEachStep, Step, StepBody},
    run::{Memo, StepOutcome},
};
use so_store::{StoreError, Tx};

use super::{
    advance::After,
    memo::{begun, done_memo},
    state::RunContext,
    walk::{Place, ends_of},
};
use crate::{config::LOOP_BYTES_MAX, engine::Engine};

impl Engine {
    pub(super) async fn for_each(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        body: &ForEachStep,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        if cx.memos.get(path).is_some() {
            return self.close(tx, cx, path, step, now).await;
        }
        let items = cx
            .render(&format!("{path}/for_each"), now)
            .and_then(|value| list_of(value["items"].clone(), body.for_each.longest()));
        match items {
            Ok(items) => {
                let mut memo = begun(path, step, 1, now);
                memo.outcome = StepOutcome::Waiting;
                memo.output = json!({ "items": items });
                self.put(tx, cx, memo).await?;
                Ok(After::Go)
            }
            Err(reason) => self.fail_step(tx, cx, path, step, reason, now).await,
        }
    }

    pub(super) async fn parallel(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        if cx.memos.get(path).is_some() {
            return self.close(tx, cx, path, step, now).await;
        }
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Waiting;
        self.put(tx, cx, memo).await?;
        Ok(After::Go)
    }

    /// Every way or element has come to its end.
    async fn close(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        if let Some(memo) = closed_memo(cx, path, step, now) {
            self.put(tx, cx, memo).await?;
        }
        Ok(After::Go)
    }

    /// A step took longer than it may: it has failed, and what is open inside it is left.
    pub(super) async fn out_of_time(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        late: &Place<'_>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let span = late.step.timeout.as_deref().unwrap_or_default();
        let mut reason = format!("it took longer than {span}");
        let within = format!("{}/", late.path);
        let is_inside = |memo: &&Memo| memo.path == late.path || memo.path.starts_with(&within);
        // Only a call that must not be made twice is noted before it is made.
        let is_calling = |memo: &&Memo| memo.outcome == StepOutcome::Started;
        let called = cx.memos.iter().filter(is_inside).find(is_calling);
        if let Some(called) = called {
            reason = format!(
                "{reason}, and the server stopped during the call of step {}, so nobody knows whether it took effect; \
                 look at the other side before the rule runs again",
                called.step
            );
            if let Some(mut memo) = cx.memos.get(&late.path).cloned() {
                memo.output["code"] = "step.outcome_unknown".into();
                cx.memos.put(memo);
            }
        }
        self.fail_step(tx, cx, &late.path, late.step, reason, now)
            .await?;
        so_store::waits::delete_below(tx, cx.run.id, &late.path).await
    }
}

/// The end of a step whose every way or element has ended; none if it was never begun.
pub(super) fn closed_memo(
    cx: &RunContext,
    path: &str,
    step: &Step,
    now: Timestamp,
) -> Option<Memo> {
    let (count, failed) = ends_of(step, path, &cx.memos);
    let output = json!({"count": count, "failed": failed.len()});
    let Some(first) = failed.first() else {
        return Some(done_memo(cx, path, step, Value::Null, output, now));
    };
    let what = match step.body {
        StepBody::ForEach(_) => "elements",
        _ => "ways",
    };
    let reason = cx
        .memos
        .get(&first.path)
        .and_then(|memo| memo.error.clone());
    let reason = format!(
        "{} of {count} {what} failed; the first at step {}: {}",
        failed.len(),
        first.step.id,
        reason.unwrap_or_default()
    );
    let known = cx.memos.get(path)?;
    let mut memo = match known.finished_at {
        None => known.clone(),
        Some(_) => begun(path, step, known.attempt + 1, now),
    };
    memo.outcome = StepOutcome::Failed;
    memo.output = output;
    // Whoever has the run go on needs to know the same elements.
    memo.output["items"] = known.output["items"].clone();
    memo.error = Some(reason);
    memo.finished_at = Some(now);
    Some(memo)
}

/// The elements of a loop.
pub(crate) fn list_of(value: Value, longest: usize) -> Result<Vec<Value>, String> {
    let items = match value {
        Value::Array(items) => items,
        Value::Null => Vec::new(),
        other => {
            let what = crate::rule::describe(&other);
            return Err(format!("for_each needs a list, this is {what}"));
        }
    };
    if items.len() > longest {
        let count = items.len();
        return Err(format!(
            "the list has {count} elements, at most {longest} are allowed; `max` in for_each may raise it"
        ));
    }
    let bytes: usize = items.iter().map(|item| item.to_string().len()).sum();
    if bytes > LOOP_BYTES_MAX {
        return Err(format!(
            "the list has {bytes} bytes, at most {LOOP_BYTES_MAX} are allowed; keep only what the steps read"
        ));
    }
    Ok(items)
}
