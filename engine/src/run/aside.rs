//! Carries runs on aside of the real database: within one transaction of the caller's, who has the database to himself.
//!
//! Owns what is assumed of calls. Must not call anybody: remote actions are asked for a describer, which has no way out.
//! Invariant: steps on our own database are those of every other run, and so is the walk; what is left out is leases,
//! commits and the calls.

use std::{collections::HashSet, sync::Arc};

use serde_json::json;
use so_model::{
    IdSource as _, Timestamp,
    event::{Cause, Event, NewEvent, kind},
    id::{EventId, RuleId, RunId},
    rule::{ModeKind, Step, StepBody},
    run::{Memo, RunState, StepOutcome},
};
use so_store::{StoreError, Tx, events, jobs, runs, waits};

use super::{
    advance::{CANCELLED, Outbox, STEPS},
    over::{is_awaited, start_next_queued, wake_caller},
    rest::{Rest, Waits, is_ready},
    state::RunContext,
    stretches::STRETCH_STEPS_MAX,
    walk::{Memos, Place, position},
};
use crate::{
    admit::{Admission, JOB_RUN},
    config::RUN_STEPS_MAX,
    decide::CompiledRule,
    engine::{Engine, Handed},
    plugin::{Action, DescribeContext, LocalError, RemoteAction},
};

/// Something outside that a run took for granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Assumed {
    /// The answer of a call: the action's name.
    Answer(String),
    /// That no such event came.
    NoEvent(String),
}

/// What came of carrying a run on.
#[derive(Default)]
pub(crate) struct Carried {
    /// The run and its rule; none if it is gone or over.
    pub(crate) run: Option<(RunId, RuleId)>,
    /// The run that waits for this one's end.
    pub(crate) caller: Option<RunId>,
    /// What it follows: the event that started it, and those that it waited for and met.
    pub(crate) follows: Vec<EventId>,
    /// What it assumed.
    pub(crate) assumed: Vec<Assumed>,
    /// Events that it made.
    pub(crate) admissions: Vec<Admission>,
}

impl Engine {
    /// Carries a run on until it ends or waits.
    pub(crate) async fn advance_aside(
        &self,
        tx: &mut Tx,
        handed: Handed,
    ) -> Result<Carried, StoreError> {
        let mut carried = Carried::default();
        let is_fresh = handed.fresh.is_some();
        let Some(mut cx) = self.load_aside(tx, handed).await? else {
            return Ok(carried);
        };
        carried.run = Some((cx.run.id, cx.run.rule));
        carried.caller = cx.event.cause.run.filter(|_| is_awaited(&cx.event));
        carried.follows.push(cx.event.id);
        let is_stored = !is_fresh || self.keeps_row(&cx.rule, &cx.event);
        // What is finished is never written again.
        let written: HashSet<(String, i64)> = finished(&cx.memos);
        let mut outbox = Outbox::default();
        let mut waits = Waits::default();
        let rule = cx.rule.clone();
        // A run has no more steps than this; each turn does one at the least.
        for turn in 0..RUN_STEPS_MAX {
            let now = self.now();
            // Nobody cancels a run that was made in this very moment.
            let is_active = !is_stored
                || (is_fresh && turn == 0)
                || runs::is_active(tx, cx.run.workspace, cx.run.id).await?;
            let rest = match is_active {
                true => {
                    let mut left = STRETCH_STEPS_MAX;
                    self.local_steps(tx, &mut cx, &mut waits, now, &mut left, &mut outbox)
                        .await?
                }
                false => Rest::End(RunState::Cancelled, Some(CANCELLED.into())),
            };
            if matches!(rest, Rest::Go) {
                let ready: Vec<Place<'_>> = position(&rule.document.steps, &cx.memos)
                    .open
                    .into_iter()
                    .filter(|place| is_ready(&cx.memos, place, now) && !waits.has(&place.path))
                    .collect();
                for place in &ready {
                    if let Some((kind, action)) = self.remote_of(place.step) {
                        self.describe_call(tx, &mut cx, place, action.as_ref(), now)
                            .await?;
                        carried.assumed.push(Assumed::Answer(kind));
                    }
                }
                continue;
            }
            if matches!(rest, Rest::Until(..) | Rest::Sleep(_)) {
                if !is_stored {
                    runs::insert(tx, &cx.run).await?;
                }
                write_memos(tx, &cx, &written).await?;
            }
            self.settle_aside(tx, &cx, rest, is_stored, now, &mut outbox)
                .await?;
            break;
        }
        let ended = cx.memos.iter().filter(|memo| {
            memo.finished_at.is_some() && !written.contains(&(memo.path.clone(), memo.attempt))
        });
        for memo in ended {
            carried.assumed.extend(in_vain(&cx, memo));
            carried.follows.extend(met(memo));
        }
        carried.admissions = outbox.admissions;
        Ok(carried)
    }

    async fn load_aside(
        &self,
        tx: &mut Tx,
        handed: Handed,
    ) -> Result<Option<RunContext>, StoreError> {
        let Handed { job, fresh, .. } = handed;
        if let Some(fresh) = fresh {
            return self.begin_run(*fresh).await.map(Some);
        }
        let Ok(id) = job.subject.parse::<RunId>() else {
            return Ok(None);
        };
        let Some(run) = runs::find(tx, job.workspace, id).await? else {
            return Ok(None);
        };
        let Some(event) = events::find(tx, job.workspace, run.event).await? else {
            return Ok(None);
        };
        let memos = runs::list_memos(tx, job.workspace, id).await?;
        if run.state.is_over() {
            return Ok(None);
        }
        let workspace = self.workspace(run.workspace).await?;
        let rule = self
            .rule_version(run.workspace, run.rule, run.version)
            .await?;
        Ok(rule.ok().map(|rule| RunContext {
            run,
            event: Arc::new(event),
            rule,
            workspace,
            memos: Memos::new(memos),
        }))
    }

    /// Whether a run that begins becomes a row at once.
    ///
    /// Always, but in a forecast: there a run that nobody counts or looks up, and that cannot wait for what follows from
    /// itself, becomes one when it waits.
    pub(crate) fn keeps_row(&self, rule: &CompiledRule, event: &Event) -> bool {
        let Some(refusals) = &self.config.refusals else {
            return true;
        };
        let (mode, limits) = (&rule.document.mode, &rule.document.limits);
        refusals.counts_runs()
            || mode.kind != ModeKind::Parallel
            || mode.max.is_some()
            || limits.max_runs_per_hour.is_some()
            || limits.max_events_per_run.is_some()
            || is_awaited(event)
            || !is_straight(&rule.document.steps)
    }

    fn remote_of(&self, step: &Step) -> Option<(String, Arc<dyn RemoteAction>)> {
        let StepBody::Action(body) = &step.body else {
            return None;
        };
        match self.plugins.action(&body.action) {
            Some(Action::Remote(action)) => Some((body.action.clone(), action.clone())),
            _ => None,
        }
    }

    /// Does as if the call had succeeded, with the answer that its describer tells.
    async fn describe_call(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        place: &Place<'_>,
        action: &dyn RemoteAction,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (path, step) = (place.path.as_str(), place.step);
        let params = match cx.render(&format!("{path}/with"), now) {
            Ok(params) => params,
            Err(reason) => {
                self.fail_step(tx, cx, path, step, reason, now).await?;
                return Ok(());
            }
        };
        let mut seen = DescribeContext {
            tx: &mut *tx,
            workspace: cx.run.workspace,
            run: &cx.run,
            event: &cx.event,
            now,
        };
        match action.describer().describe(&mut seen, params.clone()).await {
            Ok(described) => {
                let output = described
                    .output
                    .unwrap_or_else(|| action.spec().sample_output);
                self.put_done(tx, cx, path, step, params, output, now).await
            }
            // A mistake that is known before the call is one of every try.
            Err(LocalError::Action(error)) => {
                self.fail_step(tx, cx, path, step, error.message, now)
                    .await?;
                Ok(())
            }
            Err(LocalError::Store(error)) => Err(error),
        }
    }

    async fn settle_aside(
        &self,
        tx: &mut Tx,
        cx: &RunContext,
        rest: Rest,
        is_stored: bool,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<(), StoreError> {
        let (workspace, id) = (cx.run.workspace, cx.run.id);
        match rest {
            Rest::Go => Ok(()),
            Rest::Until(at, reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                let job = self.ids.new_id();
                jobs::wake(tx, job, workspace, JOB_RUN, &id.to_string(), at).await?;
                self.jobs_changed.ring();
                Ok(())
            }
            Rest::Sleep(reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                Ok(())
            }
            Rest::End(state, reason) => {
                if is_stored
                    && !runs::set_state(tx, workspace, id, state, reason.as_deref(), now).await?
                {
                    return Ok(());
                }
                let is_waiting = |memo: &so_model::run::Memo| memo.outcome == StepOutcome::Waiting;
                if cx.memos.iter().any(is_waiting) {
                    waits::delete_below(tx, id, STEPS).await?;
                }
                start_next_queued(self, tx, &cx.run, now).await?;
                if is_awaited(&cx.event) {
                    wake_caller(self, tx, &cx.event, now).await?;
                }
                if state == RunState::Failed {
                    let data = json!({"run": {"id": cx.run.id, "rule": cx.run.rule,
                        "rule_name": cx.rule.document.name, "reason": reason, "event": cx.run.event}});
                    let event = NewEvent::new(workspace, kind::RUN_FAILED, data)
                        .about(id)
                        .because(Cause::of(&cx.event, id, cx.run.rule));
                    outbox.admissions.push(self.admit(tx, event).await?);
                }
                Ok(())
            }
        }
    }
}

/// Steps that are done one after the other, and wait for nothing that follows from a neighbour.
fn is_straight(steps: &[Step]) -> bool {
    steps.iter().all(|step| {
        let inside = match &step.body {
            StepBody::Action(_) | StepBody::Set(_) | StepBody::Stop(_) => true,
            StepBody::If(body) => is_straight(&body.then) && is_straight(&body.otherwise),
            StepBody::Choose(body) => {
                body.choose.iter().all(|branch| is_straight(&branch.then))
                    && is_straight(&body.otherwise)
            }
            _ => false,
        };
        inside && is_straight(&step.on_error)
    })
}

fn finished(memos: &Memos) -> HashSet<(String, i64)> {
    memos
        .iter()
        .filter(|memo| memo.finished_at.is_some())
        .map(|memo| (memo.path.clone(), memo.attempt))
        .collect()
}

/// Writes what a run that waits will need when it is carried on.
async fn write_memos(
    tx: &mut Tx,
    cx: &RunContext,
    written: &HashSet<(String, i64)>,
) -> Result<(), StoreError> {
    let rows: Vec<_> = cx
        .memos
        .iter()
        .filter(|memo| !written.contains(&(memo.path.clone(), memo.attempt)))
        .map(|memo| (cx.run.workspace, cx.run.id, memo))
        .collect();
    match rows.is_empty() {
        true => Ok(()),
        false => runs::put_memos(tx, &rows).await,
    }
}

/// What a step that has ended waited for in vain: its own event or outcome, or that of a step inside it.
fn in_vain(cx: &RunContext, ended: &Memo) -> Option<Assumed> {
    let failed = ended.outcome == StepOutcome::Failed;
    let timed_out = ended.input.is_null() && ended.output["timed_out"] == true;
    // A step that runs out of time keeps what it waited for; one that fails otherwise has a code.
    let is_late = failed && waits_for_somebody(ended) && ended.output["code"].is_null();
    let within = format!("{}/", ended.path);
    let inside = || {
        let mut open = cx.memos.iter().filter(|memo| {
            memo.outcome == StepOutcome::Waiting
                && memo.path.starts_with(&within)
                && waits_for_somebody(memo)
        });
        open.next().filter(|_| failed)
    };
    let waited = if timed_out || is_late {
        Some(ended)
    } else {
        inside()
    };
    waited.map(|memo| Assumed::NoEvent(memo.step.clone()))
}

/// A wait for an event, or an action that waits: neither a delay nor what holds other steps.
fn waits_for_somebody(memo: &Memo) -> bool {
    memo.output["event"].is_string() || (!memo.input.is_null() && memo.output.is_object())
}

/// The event that a wait has met.
fn met(ended: &Memo) -> Option<EventId> {
    let is_wait = ended.input.is_null() && ended.output["timed_out"] == false;
    let id = ended.output["event"]["id"].as_str().filter(|_| is_wait);
    id.and_then(|text| text.parse().ok())
}
