//! Steps that call the outside, with no transaction open during the call.
//!
//! Invariant: a call that must not be made twice is preceded by a committed
//! memo "started"; found again without an outcome it ends the step as unknown.

use std::sync::Arc;

use serde_json::Value;
use so_model::{
    rule::{ActionStep, ModeKind, Step, StepBody},
    run::StepOutcome,
};
use so_store::{StoreError, jobs, jobs::Job, runs::MemoRow};

use super::{
    advance::{After, Outbox},
    ends::End,
    local::next_attempt,
    memo::{begun, done_memo},
    over::is_awaited,
    rest::{Rest, Waits},
    state::RunContext,
    walk::{Place, Standing, position},
};
use crate::{
    engine::Engine,
    failpoint,
    lanes::{Entered, LanePlace},
    plugin::{Action, ActionError, RemoteAction, RemoteContext, Repeat, step_key},
    schedule::parse_duration,
};

/// A run younger than this is not looked up again before its first call.
const JUST_NOW: i64 = so_model::time::SECOND;

/// A call that is about to be made.
#[derive(Clone)]
pub(super) struct RemoteCall {
    pub(super) action: Arc<dyn RemoteAction>,
    pub(super) body: ActionStep,
}

impl Engine {
    pub(super) fn remote_call(&self, step: &Step) -> Option<RemoteCall> {
        let StepBody::Action(body) = &step.body else {
            return None;
        };
        match self.plugins.action(&body.action) {
            Some(Action::Remote(action)) => Some(RemoteCall {
                action: action.clone(),
                body: body.clone(),
            }),
            _ => None,
        }
    }

    /// Makes the call and settles it. True when the run goes on at once.
    pub(super) async fn call_outside(
        &self,
        job: &Job,
        cx: &mut RunContext,
        waits: &mut Waits,
        (place, call): &(Place<'_>, RemoteCall),
        brought: Option<LanePlace>,
    ) -> Result<bool, StoreError> {
        let (path, step) = (place.path.as_str(), place.step);
        let now = self.now();
        let params = match cx.render(&format!("{path}/with"), now) {
            Ok(params) => params,
            Err(reason) => {
                let mut tx = self.store.begin().await?;
                jobs::fence(&mut tx, job).await?;
                let after = self.fail_step(&mut tx, cx, path, step, reason, now).await?;
                return self.commit_after(tx, job, cx, waits, after).await;
            }
        };
        let attempt = next_attempt(cx, path);
        // A run that was cancelled meanwhile calls nobody any more; the stretch of local steps settles it.
        let mut reader = self.store.clone();
        if !self.was_just_made(cx, now)
            && !so_store::runs::is_active(&mut reader, cx.run.workspace, cx.run.id).await?
        {
            return self.local_stretch(job, cx, waits).await;
        }
        // Held until the call's end has been stored.
        let _place = match call.action.lane(&params) {
            None => None,
            Some(lane) => match self.enter_lane(&lane, job, brought).await? {
                Entered::Now(place) => Some(place),
                Entered::Waits => return Ok(false),
            },
        };
        if call.action.repeat(&params) == Repeat::Never {
            let was_begun = cx
                .memos
                .get(path)
                .is_some_and(|memo| memo.outcome == StepOutcome::Started);
            if was_begun {
                let error = ActionError::fail(
                    "step.outcome_unknown",
                    "the server stopped during the call, so nobody knows whether it took effect",
                )
                .next_step("look at the other side, then run the rule again if it is missing");
                return self
                    .settle_failure(job, cx, waits, path, step, call, params, &error)
                    .await;
            }
            let mut tx = self.store.begin().await?;
            jobs::fence(&mut tx, job).await?;
            self.put(&mut tx, cx, begun(path, step, attempt, now))
                .await?;
            failpoint::hit("remote.intent.commit");
            tx.commit().await?;
        }
        failpoint::hit("remote.before");
        let limit = self.time_for(cx, path, step, now);
        let result = self
            .perform(cx, path, attempt, call, params.clone(), limit)
            .await;
        failpoint::hit("remote.after");
        match result {
            Ok(end) => {
                let now = self.now();
                let memo = done_memo(cx, path, step, params, end.output, now);
                cx.memos.put(memo.clone());
                if end.events.is_empty() && self.is_at_end(cx) && self.nobody_waits_for(cx) {
                    let end = End {
                        job: job.clone(),
                        run: cx.run.id,
                        memo: MemoRow::of(cx.run.workspace, cx.run.id, &memo)?,
                    };
                    if self.settle_end(end).await {
                        self.announce(cx.run.workspace, "run", cx.run.id);
                        return Ok(false);
                    }
                }
                let mut outbox = Outbox::default();
                let mut tx = self.begin_to_settle(job).await?;
                self.put(&mut tx, cx, memo).await?;
                let rest = match self.emit_all(&mut tx, cx, end.events, &mut outbox).await? {
                    Some(reason) => Rest::End(so_model::run::RunState::Failed, Some(reason)),
                    None => self.rest(cx, waits, now),
                };
                let goes_on = self
                    .settle(&mut tx, job, cx, rest, now, &mut outbox)
                    .await?;
                failpoint::hit("remote.done.commit");
                tx.commit().await?;
                self.hand_over_all(outbox.admissions);
                self.announce(cx.run.workspace, "run", cx.run.id);
                Ok(goes_on)
            }
            Err(error) => {
                self.settle_failure(job, cx, waits, path, step, call, params, &error)
                    .await
            }
        }
    }

    /// A transaction for what came of a call, by the holder of the job.
    pub(super) async fn begin_to_settle(&self, job: &Job) -> Result<so_store::Tx, StoreError> {
        let mut tx = self.store.begin().await?;
        jobs::fence(&mut tx, job).await?;
        Ok(tx)
    }

    pub(super) async fn perform(
        &self,
        cx: &RunContext,
        path: &str,
        attempt: i64,
        call: &RemoteCall,
        params: Value,
        limit: std::time::Duration,
    ) -> Result<crate::plugin::RemoteEnd, ActionError> {
        let remote = RemoteContext {
            store: self.store.clone(),
            workspace: cx.run.workspace,
            run: &cx.run,
            event: &cx.event,
            key: step_key(cx.run.id, path),
            attempt,
            now: self.now(),
        };
        let repeat = call.action.repeat(&params);
        match tokio::time::timeout(limit, call.action.perform(&remote, params)).await {
            Ok(result) => result,
            Err(_) if repeat == Repeat::Allowed => Err(ActionError::later(
                "step.timeout",
                "the call took too long and was given up",
            )),
            Err(_) => Err(ActionError::fail(
                "step.outcome_unknown",
                "the call took too long, so nobody knows whether it took effect",
            )
            .next_step("look at the other side, then run the rule again if it is missing")),
        }
    }

    /// How long the call may take: the engine's bound, or what is left of the step's own time.
    pub(super) fn time_for(
        &self,
        cx: &RunContext,
        path: &str,
        step: &Step,
        now: so_model::Timestamp,
    ) -> std::time::Duration {
        let own = step
            .timeout
            .as_deref()
            .and_then(|text| parse_duration(text).ok());
        let left = match cx.memos.deadline(path, step) {
            Some(deadline) => Some(deadline.since(now).max(0)),
            None => own,
        };
        let limit = left.map_or(self.config.call_timeout, |left| {
            left.min(self.config.call_timeout)
        });
        std::time::Duration::from_micros(limit.unsigned_abs())
    }

    /// A run that began a moment ago, of a mode that cancels nothing.
    ///
    /// A person's cancellation in the same moment is as if it came after the call.
    pub(super) fn was_just_made(&self, cx: &RunContext, now: so_model::Timestamp) -> bool {
        cx.memos.is_empty()
            && cx.rule.document.mode.kind == ModeKind::Parallel
            && now.since(cx.run.created_at) < JUST_NOW
    }

    /// No run is in a queue behind this one, and no caller waits for its end.
    pub(super) fn nobody_waits_for(&self, cx: &RunContext) -> bool {
        let is_queue =
            |rule: &crate::decide::CompiledRule| rule.document.mode.kind == ModeKind::Queued;
        !is_awaited(&cx.event)
            && !is_queue(&cx.rule)
            && !self
                .index()
                .starting(cx.run.rule)
                .any(|rule| is_queue(rule))
    }

    // Saves a second transaction when the call was the last step.
    fn is_at_end(&self, cx: &RunContext) -> bool {
        position(&cx.rule.document.steps, &cx.memos).standing == Standing::Done
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a failed call and all that explains it"
    )]
    async fn settle_failure(
        &self,
        job: &Job,
        cx: &mut RunContext,
        waits: &Waits,
        path: &str,
        step: &Step,
        call: &RemoteCall,
        params: Value,
        error: &ActionError,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let mut tx = self.begin_to_settle(job).await?;
        let after = self
            .failed_try(&mut tx, cx, path, step, &call.body, params, error, now)
            .await?;
        self.commit_after(tx, job, cx, waits, after).await
    }

    async fn commit_after(
        &self,
        mut tx: so_store::Tx,
        job: &Job,
        cx: &RunContext,
        waits: &Waits,
        after: After,
    ) -> Result<bool, StoreError> {
        let mut outbox = Outbox::default();
        let now = self.now();
        let rest = match after {
            After::End(state, reason) => Rest::End(state, reason),
            After::Go | After::Waits(_) => self.rest(cx, waits, now),
        };
        let goes_on = self
            .settle(&mut tx, job, cx, rest, now, &mut outbox)
            .await?;
        failpoint::hit("remote.failed.commit");
        tx.commit().await?;
        self.hand_over_all(outbox.admissions);
        self.announce(cx.run.workspace, "run", cx.run.id);
        Ok(goes_on)
    }
}
