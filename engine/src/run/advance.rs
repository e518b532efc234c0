//! Carries a run on: step by step until it ends, waits, or calls the outside.
//!
//! Invariant: every transaction here begins by fencing the job's lease, so a
//! worker that lost it changes nothing. Steps on our own database share one
//! transaction; a call to the outside is made with none open.

use serde_json::json;
use so_model::{
    Timestamp,
    event::{Cause, NewEvent, kind},
    id::{RunId, WorkspaceId},
    run::{Memo, RunState, StepOutcome},
};
use so_store::{StoreError, Tx, jobs, jobs::Job, runs, waits};

use super::{
    over::{is_awaited, start_next_queued, wake_caller},
    read::ReadRun,
    rest::{Rest, Waits, is_ready},
    state::RunContext,
    stretches::{Stretch, Stretched},
    walk::{Memos, Standing, position},
};
use crate::{
    admit::Admission,
    engine::{Engine, Fresh, Handed},
    failpoint,
};

/// The path above every step of a run.
pub(crate) const STEPS: &str = "/steps";

/// What a step leaves the run to do.
pub(super) enum After {
    /// What comes next.
    Go,
    /// Nothing at this step until its moment, or until somebody wakes the run.
    Waits(String),
    /// The end.
    End(RunState, Option<String>),
}

/// Said of a run that somebody ended, unless whoever did it has said so already.
pub(super) const CANCELLED: &str = "cancelled by a person";

/// Work of one transaction: what is written at its end, and what goes out after its commit.
#[derive(Default)]
pub(super) struct Outbox {
    pub(super) admissions: Vec<Admission>,
    memos: Vec<(WorkspaceId, RunId, Memo)>,
}

impl Outbox {
    /// Takes a run's memos that are yet to be written.
    pub(super) fn keep(&mut self, cx: &mut RunContext) {
        let (workspace, id) = (cx.run.workspace, cx.run.id);
        let kept = cx.memos.take_kept().into_iter();
        self.memos.extend(kept.map(|memo| (workspace, id, memo)));
    }

    /// Writes the memos of every run.
    pub(super) async fn write_memos(&mut self, tx: &mut Tx) -> Result<(), StoreError> {
        let memos = std::mem::take(&mut self.memos);
        let memos: Vec<_> = memos
            .iter()
            .map(|(workspace, run, memo)| (*workspace, *run, memo))
            .collect();
        runs::put_memos(tx, &memos).await
    }
}

impl Engine {
    /// Carries on the run of a claimed job.
    pub(crate) async fn advance(&self, handed: Handed) -> Result<(), StoreError> {
        let Handed {
            job,
            fresh,
            read,
            mut place,
        } = handed;
        let loaded = match fresh {
            Some(fresh) => Some(self.begin_run(*fresh).await?),
            None => self.load_run(&job, read.map(|read| *read)).await?,
        };
        let Some(mut cx) = loaded else {
            return self.finish_gone(&job).await;
        };
        let mut waits = Waits::default();
        let rule = cx.rule.clone();
        loop {
            // A step that calls the outside is looked up before a transaction is opened.
            let calls = self.next_calls(rule.steps(), &cx, &waits);
            let goes_on = match &calls[..] {
                [] => {
                    let stretch = Stretch {
                        job: job.clone(),
                        cx,
                        waits,
                    };
                    match self.stretch(stretch).await? {
                        Stretched::Settled => return Ok(()),
                        Stretched::GoesOn(stretch) => {
                            Stretch { cx, waits, .. } = *stretch;
                            true
                        }
                        Stretched::Undone => {
                            let Some(again) = self.load_run(&job, None).await? else {
                                return self.finish_gone(&job).await;
                            };
                            (cx, waits) = (again, Waits::default());
                            self.local_stretch(&job, &mut cx, &mut waits).await?
                        }
                    }
                }
                [first] => {
                    self.call_outside(&job, &mut cx, &mut waits, first, place.take())
                        .await?
                }
                [first, ..] => {
                    let together = self.beside_each_other(&cx, &calls);
                    if together.len() > 1 {
                        place = None;
                        self.call_together(&job, &mut cx, &mut waits, together)
                            .await?
                    } else {
                        // A place taken for one alone is given back before it is asked for again.
                        drop(together);
                        self.call_outside(&job, &mut cx, &mut waits, first, place.take())
                            .await?
                    }
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    async fn finish_gone(&self, job: &Job) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        jobs::finish(&mut tx, job).await?;
        failpoint::hit("run.gone.commit");
        tx.commit().await
    }

    /// What is known of a run that has just been made.
    pub(super) async fn begin_run(&self, fresh: Fresh) -> Result<RunContext, StoreError> {
        Ok(RunContext {
            workspace: self.workspace_again(fresh.workspace).await?.facts,
            run: fresh.run,
            event: fresh.event,
            rule: fresh.rule,
            memos: Memos::default(),
        })
    }

    async fn load_run(
        &self,
        job: &Job,
        known: Option<ReadRun>,
    ) -> Result<Option<RunContext>, StoreError> {
        let known = match known {
            Some(known) => known,
            None => match self.read_run(job).await? {
                Some(read) => read,
                None => return Ok(None),
            },
        };
        let ReadRun { run, event, memos } = known;
        let workspace = self.workspace(run.workspace).await?;
        match self
            .rule_version(run.workspace, run.rule, run.version)
            .await?
        {
            Ok(rule) => Ok(Some(RunContext {
                run,
                event,
                rule,
                workspace,
                memos: Memos::new(memos),
            })),
            Err(reason) => {
                let now = self.now();
                let mut tx = self.store.begin().await?;
                jobs::fence(&mut tx, job).await?;
                runs::set_state(
                    &mut tx,
                    run.workspace,
                    run.id,
                    RunState::Failed,
                    Some(&reason),
                    now,
                )
                .await?;
                waits::delete_below(&mut tx, run.id, STEPS).await?;
                start_next_queued(self, &mut tx, &run, now).await?;
                wake_caller(self, &mut tx, &event, now).await?;
                let data = json!({"run": {"id": run.id, "rule": run.rule, "rule_name": null,
                    "reason": reason, "event": run.event}});
                let failed = NewEvent::new(run.workspace, kind::RUN_FAILED, data)
                    .about(run.id)
                    .because(Cause::of(&event, run.id, run.rule));
                let admission = self.admit(&mut tx, failed).await?;
                failpoint::hit("run.unreadable.commit");
                tx.commit().await?;
                self.hand_over_all(vec![admission]);
                Ok(None)
            }
        }
    }

    /// Takes steps on our own database, as many as are left.
    pub(super) async fn local_steps(
        &self,
        tx: &mut Tx,
        cx: &mut RunContext,
        waits: &mut Waits,
        now: Timestamp,
        left: &mut usize,
        outbox: &mut Outbox,
    ) -> Result<Rest, StoreError> {
        let rule = cx.rule.clone();
        loop {
            let position = position(rule.steps(), &cx.memos);
            if position.standing != Standing::Open || self.is_too_long(cx) {
                return Ok(self.rest(cx, waits, now));
            }
            let Some(fewer) = left.checked_sub(1) else {
                return Ok(Rest::Go);
            };
            *left = fewer;
            let is_late = |place: &&super::walk::Place<'_>| {
                let deadline = cx.memos.deadline(&place.path, place.step);
                deadline.is_some_and(|deadline| deadline <= now)
            };
            if let Some(late) = position.timed.iter().find(is_late) {
                self.out_of_time(tx, cx, late, now).await?;
                continue;
            }
            let mut ready = position.open.iter().filter(|place| {
                is_ready(&cx.memos, place, now)
                    && !waits.has(&place.path)
                    && self.remote_call(place.step).is_none()
            });
            let Some(place) = ready.next() else {
                return Ok(self.rest(cx, waits, now));
            };
            match self
                .local_step(tx, cx, &place.path, place.step, now, outbox)
                .await?
            {
                After::Go => {}
                After::Waits(reason) => waits.note(&place.path, reason),
                After::End(state, reason) => return Ok(Rest::End(state, reason)),
            }
        }
    }

    /// Writes what a stretch of steps left to do. True when the run goes on at once.
    pub(super) async fn settle(
        &self,
        tx: &mut Tx,
        job: &Job,
        cx: &RunContext,
        rest: Rest,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<bool, StoreError> {
        let (workspace, id) = (cx.run.workspace, cx.run.id);
        match rest {
            Rest::Go => Ok(true),
            Rest::Until(at, reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                jobs::put_off(tx, job, at, None).await?;
                self.jobs_changed.ring();
                Ok(false)
            }
            Rest::Sleep(reason) => {
                runs::set_state(tx, workspace, id, RunState::Waiting, Some(&reason), now).await?;
                jobs::finish(tx, job).await?;
                Ok(false)
            }
            Rest::End(state, reason) => {
                let ended =
                    runs::set_state(tx, workspace, id, state, reason.as_deref(), now).await?;
                jobs::finish(tx, job).await?;
                if ended {
                    // What it still waits for would be looked up at every such event.
                    if cx
                        .memos
                        .iter()
                        .any(|memo| memo.outcome == StepOutcome::Waiting)
                    {
                        waits::delete_below(tx, id, STEPS).await?;
                    }
                    self.after_end(tx, cx, state, reason, now, outbox).await?;
                }
                Ok(false)
            }
        }
    }

    async fn after_end(
        &self,
        tx: &mut Tx,
        cx: &RunContext,
        state: RunState,
        reason: Option<String>,
        now: Timestamp,
        outbox: &mut Outbox,
    ) -> Result<(), StoreError> {
        start_next_queued(self, tx, &cx.run, now).await?;
        if is_awaited(&cx.event) {
            wake_caller(self, tx, &cx.event, now).await?;
        }
        if state == RunState::Failed {
            self.counters
                .failed
                .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let data = json!({"run": {"id": cx.run.id, "rule": cx.run.rule,
                "rule_name": cx.rule.document.name, "reason": reason, "event": cx.run.event}});
            let event = NewEvent::new(cx.run.workspace, kind::RUN_FAILED, data)
                .about(cx.run.id)
                .because(Cause::of(&cx.event, cx.run.id, cx.run.rule));
            outbox.admissions.push(self.admit(tx, event).await?);
        }
        Ok(())
    }
}
