//! Waits for events: a run's side and an event's side.
//!
//! Invariant: a wait is a row from the moment its step has begun; an event that was stored before that does not
//! count, the first one after it that fits does, and only that one.

use std::sync::Arc;

use serde_json::json;
use so_model::{
    Timestamp,
    event::Event,
    rule::{OnTimeout, Step, WaitFor},
    run::StepOutcome,
};
use so_store::{StoreError, Tx, events, runs, waits, waits::Wait};

use super::{
    advance::After,
    memo::begun,
    over::wake_run,
    state::RunContext,
    steps::{facts_of, text_of},
    walk::Memos,
};
use crate::{
    config::{WAITS_MAX, WAITS_WITH_CONDITION_MAX},
    engine::Engine,
    schedule::parse_duration,
};

impl Engine {
    pub(super) async fn wait_for(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        wait: &WaitFor,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let Some(memo) = cx.memos.get(path).cloned() else {
            return self.begin_wait(tx, cx, path, step, wait, now).await;
        };
        let until = memo.output["until"].as_str().and_then(Timestamp::parse);
        let is_over = until.is_none_or(|until| until <= now);
        if is_over && waits::give_up(tx, cx.run.id, path).await? {
            let timed_out = json!({"timed_out": true, "event": null});
            if wait.on_timeout == OnTimeout::Fail {
                let reason = format!("no event {} came within {}", wait.event, wait.timeout);
                return self.fail_step(tx, cx, path, step, reason, now).await;
            }
            self.put_done(tx, cx, path, step, serde_json::Value::Null, timed_out, now)
                .await?;
            return Ok(After::Go);
        }
        let Some(met) = waits::take_met(tx, cx.run.id, path).await? else {
            // A run that goes on after it was over has lost its row.
            let subject = memo.output["subject"].as_str().map(str::to_owned);
            waits::put(tx, &row_of(cx, path, wait, subject)).await?;
            let until = until.map_or_else(String::new, |until| format!(" until {until}"));
            return Ok(After::Waits(format!("waits for {}{until}", wait.event)));
        };
        let event = events::find(tx, cx.run.workspace, met).await?;
        let event = event.map(|event| {
            json!({"id": event.id, "kind": event.kind, "source": event.source,
                   "subject": event.subject, "time": event.time, "data": event.data})
        });
        let output = json!({"timed_out": false, "event": event});
        self.put_done(tx, cx, path, step, serde_json::Value::Null, output, now)
            .await?;
        Ok(After::Go)
    }

    async fn begin_wait(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        path: &str,
        step: &Step,
        wait: &WaitFor,
        now: Timestamp,
    ) -> Result<After, StoreError> {
        let subject = match &wait.subject {
            None => None,
            Some(_) => match cx.render(&format!("{path}/wait_for"), now) {
                Ok(value) => Some(text_of(&value["subject"])),
                Err(reason) => return self.fail_step(tx, cx, path, step, reason, now).await,
            },
        };
        let until = match parse_duration(&wait.timeout) {
            Ok(span) => now.plus(span),
            Err(error) => {
                let reason = error.to_string();
                return self.fail_step(tx, cx, path, step, reason, now).await;
            }
        };
        let row = row_of(cx, path, wait, subject.clone());
        let most = match wait.condition {
            None => WAITS_MAX,
            Some(_) => WAITS_WITH_CONDITION_MAX,
        };
        if waits::count(tx, &row, most).await? >= most {
            let reason = format!(
                "{most} runs wait for {} already; name a `subject`, or wait less long",
                wait.event
            );
            return self.fail_step(tx, cx, path, step, reason, now).await;
        }
        waits::put(tx, &row).await?;
        let mut memo = begun(path, step, 1, now);
        memo.outcome = StepOutcome::Waiting;
        memo.output = json!({"until": until, "event": wait.event, "subject": subject});
        self.put(tx, cx, memo).await?;
        Ok(After::Waits(format!(
            "waits for {} until {until}",
            wait.event
        )))
    }

    /// Tells the runs that wait for an event of this kind; called in the transaction that stores it.
    pub(crate) async fn tell_waiting(
        &self,
        tx: &mut Tx,
        event: &Arc<Event>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let subject = event.subject.as_deref();
        let found = waits::list(tx, event.workspace, &event.kind, subject, 2 * WAITS_MAX).await?;
        for wait in found {
            let is_waited_for = match self.is_waited_for(tx, &wait, event, now).await {
                // One run that cannot be read does not keep an event from the others.
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(run = %wait.run, %error, "a run that waits cannot be read");
                    Some(false)
                }
                told => told?,
            };
            match is_waited_for {
                None => waits::delete_below(tx, wait.run, &wait.path).await?,
                Some(false) => {}
                Some(true) => {
                    // The job before the wait, as the run itself locks them.
                    wake_run(self, tx, event.workspace, wait.run, now).await?;
                    waits::meet(tx, wait.run, &wait.path, event.id).await?;
                }
            }
        }
        Ok(())
    }

    /// None when nobody waits there any more.
    async fn is_waited_for(
        &self,
        tx: &mut Tx,
        wait: &Wait,
        event: &Arc<Event>,
        now: Timestamp,
    ) -> Result<Option<bool>, StoreError> {
        let run = runs::find(tx, wait.workspace, wait.run).await?;
        let Some(run) = run.filter(|run| !run.state.is_over()) else {
            return Ok(None);
        };
        let Ok(rule) = self
            .rule_version(run.workspace, run.rule, run.version)
            .await?
        else {
            return Ok(None);
        };
        let condition = format!("{}/wait_for/if", wait.path);
        if rule
            .condition_at(&super::walk::pointer_of(&condition))
            .is_none()
        {
            return Ok(Some(true));
        }
        let memos = runs::list_memos(tx, run.workspace, run.id).await?;
        let cx = RunContext {
            workspace: self.workspace(run.workspace).await?,
            run,
            // The condition is about the event that came, with what the run knows.
            event: event.clone(),
            rule,
            memos: Memos::new(memos),
        };
        let values = facts_of(tx, &cx, &condition, now).await?;
        let trace = cx.explain(&condition, now, &values);
        Ok(Some(trace.is_some_and(|trace| trace.held == Some(true))))
    }
}

fn row_of(cx: &RunContext, path: &str, wait: &WaitFor, subject: Option<String>) -> Wait {
    Wait {
        run: cx.run.id,
        path: path.to_owned(),
        workspace: cx.run.workspace,
        kind: wait.event.clone(),
        subject,
    }
}
