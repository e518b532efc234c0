//! Steps on our own database: effect, memo and events in one transaction.

use serde_json::Value;
use so_model::{
    Timestamp,
    rule::{ActionStep, Step},
    run::{Memo, StepOutcome},
};
use so_store::{StoreError, Tx};

use super::{
    advance::{After, Outbox},
    memo::begun,
    retry::delay_before,
    state::{RunContext, shorten},
};
use crate::{
    engine::Engine,
    plugin::{Action, ActionError, LocalContext, LocalEnd, LocalError, RetryAdvice},
};

impl Engine {
    #[expect(clippy::too_many_arguments, reason = "a step and all that it works on")]
    pub(super) async fn local_action(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        body: &ActionStep,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<After, StoreError> {
        let Some(Action::Local(action)) = self.plugins.action(&body.action).cloned() else {
            let reason = format!("this server has no action {}", body.action);
            return self.fail_step(tx, cx, path, step, reason, now).await;
        };
        let params = match cx.render(&format!("{path}/with"), now) {
            Ok(params) => params,
            Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
        };
        let waited = cx
            .memos
            .get(path)
            .filter(|memo| memo.outcome == StepOutcome::Waiting)
            .map(|memo| memo.output.clone());
        let attempt = next_attempt(cx, path);
        // A step that fails half way must leave nothing behind; a forecast does without where that cannot be.
        let is_marked = self.config.refusals.is_none() || !action.writes_last();
        if is_marked {
            tx.savepoint().await?;
        }
        let mut local = LocalContext {
            tx,
            workspace: cx.run.workspace,
            run: &cx.run,
            event: &cx.event,
            path,
            now,
            ids: &self.ids,
            scripts: cx.rule.scripts(),
            events: Vec::new(),
        };
        let result = match waited {
            Some(waited) => action.resume(&mut local, params.clone(), waited).await,
            None => action.perform(&mut local, params.clone()).await,
        };
        let events = std::mem::take(&mut local.events);
        let is_looked_at_again = !events.is_empty();
        match result {
            Ok(end) => {
                if is_marked {
                    tx.keep_savepoint().await?;
                }
                let mut memo = match cx.memos.get(path) {
                    Some(memo) if memo.finished_at.is_none() => memo.clone(),
                    _ => begun(path, step, attempt, now),
                };
                memo.input = shorten(params);
                let after = match end {
                    LocalEnd::Done(output) => {
                        memo.outcome = StepOutcome::Done;
                        memo.output = output;
                        memo.finished_at = Some(now);
                        After::Go
                    }
                    LocalEnd::Wait { reason, output } => {
                        memo.outcome = StepOutcome::Waiting;
                        memo.output = output;
                        // What it waits for may have followed from its own events at once.
                        match is_looked_at_again {
                            true => After::Go,
                            false => After::Waits(reason),
                        }
                    }
                };
                self.put(tx, cx, memo).await?;
                if is_looked_at_again {
                    // Whoever waits for such an event is asked what its run knows.
                    outbox.keep(cx);
                    outbox.write_memos(tx).await?;
                }
                match self.emit_all(tx, cx, events, outbox).await? {
                    None => Ok(after),
                    Some(reason) => Ok(After::End(so_model::run::RunState::Failed, Some(reason))),
                }
            }
            Err(LocalError::Store(StoreError::Refused(error))) if is_marked => {
                tx.undo_to_savepoint().await?;
                tracing::error!(run.id = %cx.run.id, step.path = path, %error, "a step's statement was refused");
                let error = ActionError::fail("step.database", "the database refused the step");
                self.failed_try(tx, cx, path, step, body, params, &error, now)
                    .await
            }
            Err(LocalError::Store(error)) => Err(error),
            Err(LocalError::Action(error)) => {
                if is_marked {
                    tx.undo_to_savepoint().await?;
                }
                self.failed_try(tx, cx, path, step, body, params, &error, now)
                    .await
            }
        }
    }

    /// Notes a failed try; plans the next, or the step has failed.
    #[expect(
        clippy::too_many_arguments,
        reason = "a failed try and all that explains it"
    )]
    pub(super) async fn failed_try(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        body: &ActionStep,
        input: Value,
        error: &ActionError,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let memo = tried_memo(cx, path, step, body, input, error, self.ids.unit(), now);
        self.put(tx, cx, memo).await?;
        Ok(After::Go)
    }
}

/// The memo of a failed try: another is planned, or the step has failed. `unit` is the chance of the pause, 0 to 1.
#[expect(
    clippy::too_many_arguments,
    reason = "a failed try and all that explains it"
)]
pub(super) fn tried_memo(
    cx: &RunContext,
    path: &str,
    step: &Step,
    body: &ActionStep,
    input: Value,
    error: &ActionError,
    unit: f64,
    now: Timestamp,
) -> Memo {
    let attempt = next_attempt(cx, path);
    let policy = body.retry.clone().unwrap_or_default();
    let not_before = match error.retry {
        RetryAdvice::NotBefore(micros) => Some(micros),
        _ => None,
    };
    let at = now.plus(delay_before(&policy, attempt, unit, not_before));
    // A try that would come after the step's end is no try.
    let in_time = cx
        .memos
        .deadline(path, step)
        .is_none_or(|deadline| at < deadline);
    let may_retry =
        error.retry != RetryAdvice::Never && attempt < i64::from(policy.tries) && in_time;
    let mut memo = match cx.memos.get(path) {
        Some(memo) if memo.finished_at.is_none() => memo.clone(),
        _ => begun(path, step, attempt, now),
    };
    memo.input = shorten(input);
    memo.error = Some(with_next_step(error));
    memo.finished_at = Some(now);
    if may_retry {
        memo.outcome = StepOutcome::Retrying;
        memo.output = serde_json::json!({"code": error.code, "next_try_at": at});
    } else {
        memo.outcome = StepOutcome::Failed;
        memo.output = serde_json::json!({"code": error.code});
    }
    memo
}

/// Number of the try that begins, or goes on, now.
pub(super) fn next_attempt(cx: &RunContext, path: &str) -> i64 {
    match cx.memos.get(path) {
        Some(memo) if memo.finished_at.is_none() => memo.attempt,
        Some(memo) => memo.attempt + 1,
        None => 1,
    }
}

fn with_next_step(error: &ActionError) -> String {
    if error.next_step.is_empty() {
        error.message.clone()
    } else {
        format!("{}. {}", error.message, error.next_step)
    }
}
