//! Stretches of steps on our own database, those of many runs in one transaction.
//!
//! Owns who shares one. Invariant: a stretch begins by fencing its job's lease, and its effects, memos and what
//! becomes of its run are stored together or not at all. If a shared transaction fails, nothing of it was written,
//! and each of its runs is read anew and carried on by itself, so that nobody pays for another's.

use std::collections::HashSet;

use so_model::{
    Timestamp,
    id::{JobId, RunId},
    run::{RunState, StepOutcome},
};
use so_store::{StoreError, Tx, jobs, jobs::Job, runs};

use super::{
    advance::{CANCELLED, Outbox},
    rest::{Rest, Waits},
    state::RunContext,
};
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
    failpoint,
};

/// Steps of one transaction at the most: other writers wait for it.
pub(super) const STRETCH_STEPS_MAX: usize = 200;
/// Runs of one transaction at the most.
const RUNS_MAX: usize = 64;
/// After so many microseconds no further run of a transaction begins a step: scripts may take their time.
const TIME_MAX: i64 = 20_000;

/// A run whose next steps are on our own database.
pub(super) struct Stretch {
    pub(super) job: Job,
    pub(super) cx: RunContext,
    pub(super) waits: Waits,
}

/// What came of a stretch.
pub(super) enum Stretched {
    /// The job is settled.
    Settled,
    /// The run goes on at once.
    GoesOn(Box<Stretch>),
    /// Nothing was written, because of another run of the transaction.
    Undone,
}

type Answer = Result<Stretched, StoreError>;

/// Gathers stretches.
pub struct Stretches(Batcher<Stretch, Answer>);

impl Stretches {
    /// `lines` of transactions side by side.
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self(Batcher::new(RUNS_MAX, lines).apart(is_apart))
    }
}

/// One run of a transaction.
struct Part<'a> {
    job: &'a Job,
    cx: &'a mut RunContext,
    waits: &'a mut Waits,
}

/// What the runs of a transaction share.
struct Shared<'a> {
    tx: Tx,
    now: Timestamp,
    steps_left: usize,
    /// Takes its steps however late it is, or nobody would.
    first: Option<JobId>,
    outbox: Outbox,
    /// Runs that came to their usual end, with their jobs.
    finished: Vec<(&'a Job, RunId)>,
    /// Runs that wait until somebody wakes them, with what for.
    asleep: Vec<(&'a Job, (RunId, String))>,
}

/// What became of a run.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Settled,
    GoesOn,
    /// Somebody else has its job; nothing was done.
    Lost,
}

impl Engine {
    /// Carries a run on through its steps on our own database, beside others that are at such steps.
    pub(super) async fn stretch(&self, stretch: Stretch) -> Answer {
        let stretched = self.stretches.0.submit(stretch, |pieces| {
            let engine = self.clone();
            async move { engine.stretch_batch(pieces).await }
        });
        // A step that panicked took the others of its transaction with it.
        stretched.await.unwrap_or(Ok(Stretched::Undone))
    }

    async fn stretch_batch(&self, mut pieces: Vec<Piece<Stretch, Answer>>) {
        // In one order always: two transactions that lock rows for the same rules rarely wait for each other then. Where
        // they do, the database ends one of them, whose runs are carried on one by one.
        pieces.sort_by_key(|piece| (piece.work().cx.run.rule, piece.work().cx.run.id));
        let (mut stretches, mut answers): (Vec<_>, Vec<_>) =
            pieces.into_iter().map(Piece::split).unzip();
        let mut parts: Vec<Part<'_>> = stretches
            .iter_mut()
            .map(|one| Part {
                job: &one.job,
                cx: &mut one.cx,
                waits: &mut one.waits,
            })
            .collect();
        let left = match self.stretch_all(&mut parts).await {
            Ok(left) => left,
            Err(error) if answers.len() == 1 => {
                if let Some(answer) = answers.pop() {
                    answer(Err(error));
                }
                return;
            }
            Err(error) => {
                tracing::info!(%error, runs = answers.len(), "runs are carried on one by one");
                for answer in answers {
                    answer(Ok(Stretched::Undone));
                }
                return;
            }
        };
        for ((stretch, left), answer) in stretches.into_iter().zip(left).zip(answers) {
            answer(match left {
                Left::Settled => Ok(Stretched::Settled),
                Left::GoesOn => Ok(Stretched::GoesOn(Box::new(stretch))),
                Left::Lost => Err(lost()),
            });
        }
    }

    /// The same of one run by itself. False when the job is settled.
    pub(super) async fn local_stretch(
        &self,
        job: &Job,
        cx: &mut RunContext,
        waits: &mut Waits,
    ) -> Result<bool, StoreError> {
        let mut own = [Part { job, cx, waits }];
        let left = Box::pin(self.stretch_all(&mut own)).await?;
        match left.first() {
            Some(Left::Settled) => Ok(false),
            Some(Left::GoesOn) => Ok(true),
            Some(Left::Lost) | None => Err(lost()),
        }
    }

    async fn stretch_all(&self, parts: &mut [Part<'_>]) -> Result<Vec<Left>, StoreError> {
        let mut tx = self.store.begin().await?;
        let jobs: Vec<&Job> = parts.iter().map(|part| part.job).collect();
        let held = jobs::fence_many(&mut tx, &jobs).await?;
        let active = self.active_of(&mut tx, parts).await?;
        let mut shared = Shared {
            tx,
            now: self.now(),
            steps_left: STRETCH_STEPS_MAX,
            first: parts.first().map(|part| part.job.id),
            outbox: Outbox::default(),
            finished: Vec::new(),
            asleep: Vec::new(),
        };
        let mut left = Vec::with_capacity(parts.len());
        for part in parts.iter_mut() {
            left.push(match held.contains(&part.job.id) {
                true => {
                    let is_active = active.contains(&part.cx.run.id);
                    self.stretch_one(&mut shared, part, is_active).await?
                }
                false => Left::Lost,
            });
        }
        shared.write().await?;
        failpoint::hit("run.local.commit");
        shared.tx.commit().await?;
        // A step may have stored an earlier moment, such as a post's due time, or work, such as publications.
        self.timers_changed.notify_one();
        self.jobs_changed.ring();
        self.hand_over_all(shared.outbox.admissions);
        for part in parts.iter() {
            self.announce(part.cx.run.workspace, "run", part.cx.run.id);
        }
        Ok(left)
    }

    async fn stretch_one<'a>(
        &self,
        shared: &mut Shared<'a>,
        part: &mut Part<'a>,
        is_active: bool,
    ) -> Result<Left, StoreError> {
        let Shared {
            tx, now, outbox, ..
        } = shared;
        part.cx.memos.keep_back();
        if self.now().since(*now) > TIME_MAX && shared.first != Some(part.job.id) {
            shared.steps_left = 0;
        }
        // Cancelled meanwhile, by a person or a later start: nothing further is done.
        let rest = if is_active {
            let left = &mut shared.steps_left;
            self.local_steps(tx, part.cx, part.waits, *now, left, outbox)
                .await?
        } else {
            Rest::End(RunState::Cancelled, Some(CANCELLED.into()))
        };
        outbox.keep(part.cx);
        part.cx.memos.write_at_once();
        if self.is_usual_end(part.cx, &rest) {
            shared.finished.push((part.job, part.cx.run.id));
            return Ok(Left::Settled);
        }
        let rest = match rest {
            Rest::Sleep(reason) => {
                shared.asleep.push((part.job, (part.cx.run.id, reason)));
                return Ok(Left::Settled);
            }
            rest => rest,
        };
        if matches!(rest, Rest::End(..)) {
            // What follows from it may ask what other runs know.
            outbox.write_memos(tx).await?;
        }
        let goes_on = self
            .settle(tx, part.job, part.cx, rest, *now, outbox)
            .await?;
        Ok(match goes_on {
            true => Left::GoesOn,
            false => Left::Settled,
        })
    }

    /// The runs that are not over and whose end nobody wants; those just made are taken for such.
    async fn active_of(
        &self,
        tx: &mut Tx,
        parts: &[Part<'_>],
    ) -> Result<HashSet<RunId>, StoreError> {
        let now = self.now();
        let mut new = HashSet::new();
        let mut others = Vec::new();
        for part in parts {
            match self.was_just_made(part.cx, now) {
                true => {
                    new.insert(part.cx.run.id);
                }
                false => others.push(part.cx.run.id),
            }
        }
        new.extend(runs::list_active_of(tx, &others).await?);
        Ok(new)
    }

    /// The run is done, and nothing follows from that.
    fn is_usual_end(&self, cx: &RunContext, rest: &Rest) -> bool {
        matches!(rest, Rest::End(RunState::Finished, None))
            && self.nobody_waits_for(cx)
            && !cx
                .memos
                .iter()
                .any(|memo| memo.outcome == StepOutcome::Waiting)
    }
}

impl Shared<'_> {
    /// Writes what was put off until the end, and settles the runs that came to their usual end or wait.
    async fn write(&mut self) -> Result<(), StoreError> {
        self.outbox.write_memos(&mut self.tx).await?;
        let finished = self.finished.iter().map(|(job, _)| *job);
        let asleep = self.asleep.iter().map(|(job, _)| *job);
        let jobs: Vec<&Job> = finished.chain(asleep).collect();
        let ended = jobs::finish_many(&mut self.tx, &jobs).await?;
        for job in jobs.into_iter().filter(|job| !ended.contains(&job.id)) {
            // Woken meanwhile.
            jobs::finish(&mut self.tx, job).await?;
        }
        let finished: Vec<RunId> = self.finished.iter().map(|(_, run)| *run).collect();
        runs::finish_many(&mut self.tx, &finished, self.now).await?;
        let asleep: Vec<(RunId, String)> = self.asleep.drain(..).map(|(_, run)| run).collect();
        runs::sleep_many(&mut self.tx, &asleep).await
    }
}

fn lost() -> StoreError {
    StoreError::Stale {
        what: "job's lease",
    }
}
