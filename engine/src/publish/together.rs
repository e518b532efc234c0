//! Publications that come to the same point at the same time share its transaction.
//!
//! Owns who shares one: a thousand posts due in one second cost few transactions more than one. Invariant: the claim, the
//! intent and the outcome of a publication are each written whole or not at all, under its own claim of its job. A shared
//! transaction that fails has written nothing, and each of its publications is written by itself then, so that nobody
//! pays for another's.

use std::collections::HashSet;

use so_model::{
    Timestamp,
    id::JobId,
    publication::{Attempt, Publication},
};
use so_store::{StoreError, Tx, jobs, jobs::Job, publications::PublicationRow};

use super::{
    load::{Loaded, Ready, load_all},
    relation::{self, By, Cause},
    result::Told,
    step::{Because, Step},
};
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
    failpoint,
};

/// Publications of one transaction at the most.
const TOGETHER_MAX: usize = 64;
/// Readings side by side.
const READINGS: usize = 2;

/// What becomes of each, in order.
type Done<R> = Result<Vec<Result<R, StoreError>>, StoreError>;
/// None when nothing was written, because of another publication.
type Answer<R> = Option<Result<R, StoreError>>;

/// Gathers publications by what is done with them.
pub struct Together {
    readings: Batcher<Job, Answer<Loaded>>,
    claims: Batcher<Wanted, Answer<Wanted>>,
    intents: Batcher<Wanted, Answer<Wanted>>,
    outcomes: Batcher<Confirmed, Answer<()>>,
}

impl Together {
    /// `lines` of transactions of each kind side by side.
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self {
            readings: Batcher::new(TOGETHER_MAX, READINGS).apart(is_apart),
            claims: Batcher::new(TOGETHER_MAX, lines).apart(is_apart),
            intents: Batcher::new(TOGETHER_MAX, lines).apart(is_apart),
            outcomes: Batcher::new(TOGETHER_MAX, lines).apart(is_apart),
        }
    }
}

/// A step that the holder of a publication's job wants to take.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) job: Job,
    pub(super) was: Publication,
    pub(super) next: Publication,
    pub(super) cause: Cause,
    /// The attempt that it opens, whose moments are set when it is taken, or that is open.
    pub(super) attempt: Option<Attempt>,
    /// The network's settle window, where the step asks for it.
    pub(super) settle: i64,
    pub(super) note: &'static str,
}

impl Wanted {
    /// From where the publication is.
    pub(super) fn of(job: &Job, ready: &Ready, cause: Cause, note: &'static str) -> Self {
        Self {
            job: job.clone(),
            was: ready.row.publication.clone(),
            next: ready.row.publication.clone(),
            cause,
            attempt: None,
            settle: 0,
            note,
        }
    }
}

/// What a network confirmed.
#[derive(Clone)]
pub(super) struct Confirmed {
    pub(super) job: Job,
    pub(super) row: PublicationRow,
    pub(super) attempt: Attempt,
    pub(super) told: Told,
}

impl Engine {
    /// Reads what the job is about.
    pub(super) async fn load_together(&self, job: &Job) -> Result<Loaded, StoreError> {
        let readings = &self.together.readings;
        self.share(readings, job.clone(), load_all).await
    }

    /// Takes a step that begins work on a publication.
    pub(super) async fn claim_together(&self, wanted: Wanted) -> Result<Wanted, StoreError> {
        self.share(&self.together.claims, wanted, claim_all).await
    }

    /// P1: the attempt is on disk, under a claim that still holds, before the call.
    pub(super) async fn intend_together(&self, wanted: Wanted) -> Result<Wanted, StoreError> {
        self.share(&self.together.intents, wanted, intend_all).await
    }

    /// The network has it.
    pub(super) async fn confirm_together(&self, confirmed: Confirmed) -> Result<(), StoreError> {
        let outcomes = &self.together.outcomes;
        self.share(outcomes, confirmed, confirm_all).await
    }

    /// Does it with others of its kind, or by itself if that comes to nothing.
    async fn share<T, R, F>(
        &self,
        batcher: &Batcher<T, Answer<R>>,
        work: T,
        carry_out: impl Fn(Self, Vec<T>) -> F + Copy + Send + 'static,
    ) -> Result<R, StoreError>
    where
        T: Clone + Send + 'static,
        R: Send + 'static,
        F: Future<Output = Done<R>> + Send + 'static,
    {
        let answer = batcher.submit(work.clone(), |pieces| {
            let engine = self.clone();
            async move {
                let (works, mut answers): (Vec<_>, Vec<_>) =
                    pieces.into_iter().map(Piece::split).unzip();
                match carry_out(engine, works).await {
                    Ok(done) => {
                        for (answer, done) in answers.into_iter().zip(done) {
                            answer(Some(done));
                        }
                    }
                    Err(error) if answers.len() == 1 => {
                        if let Some(answer) = answers.pop() {
                            answer(Some(Err(error)));
                        }
                    }
                    Err(error) => {
                        let count = answers.len();
                        tracing::info!(%error, count, "publications are carried on one by one");
                        for answer in answers {
                            answer(None);
                        }
                    }
                }
            }
        });
        if let Some(Some(answer)) = answer.await {
            return answer;
        }
        let mut alone = carry_out(self.clone(), vec![work]).await?;
        alone.pop().unwrap_or_else(|| Err(lost()))
    }

    /// Takes the steps of those whose claims still hold.
    async fn take_wanted(&self, tx: &mut Tx, wanted: &mut [Wanted], now: Timestamp) -> Done<()> {
        let held = fenced_of(tx, wanted.iter().map(|one| &one.job)).await?;
        let mut steps: Vec<Step<'_>> = wanted
            .iter_mut()
            .filter(|one| held.contains(&one.job.id))
            .map(|one| Step {
                was: &one.was,
                next: &mut one.next,
                because: Because::of(one.cause, By::Worker(true), one.attempt.as_ref())
                    .settled_within(one.settle),
                note: one.note,
            })
            .collect();
        let taken = self.take_steps(tx, &mut steps, now).await?;
        Ok(in_order(wanted.iter().map(|one| &one.job), &held, taken))
    }
}

async fn claim_all(engine: Engine, mut wanted: Vec<Wanted>) -> Done<Wanted> {
    let now = engine.now();
    let mut tx = engine.store.begin().await?;
    let taken = engine.take_wanted(&mut tx, &mut wanted, now).await?;
    failpoint::hit("K1");
    tx.commit().await?;
    failpoint::hit("K2");
    Ok(taken_of(wanted, taken))
}

async fn intend_all(engine: Engine, mut wanted: Vec<Wanted>) -> Done<Wanted> {
    // The time of a call runs from its intent, not from when it began to wait for this transaction.
    let now = engine.now();
    let config = &engine.config;
    for attempt in wanted.iter_mut().filter_map(|one| one.attempt.as_mut()) {
        attempt.intent_at = now;
        attempt.deadline_at = relation::deadline(now, config.call_timeout, config.lease);
    }
    let mut tx = engine.store.begin().await?;
    let taken = engine.take_wanted(&mut tx, &mut wanted, now).await?;
    let goes_on = wanted.iter().zip(&taken).filter(|(_, taken)| taken.is_ok());
    let jobs: Vec<Job> = goes_on.map(|(one, _)| one.job.clone()).collect();
    jobs::extend_many(&mut tx, &jobs, now.plus(config.lease)).await?;
    failpoint::hit("K5");
    tx.commit().await?;
    Ok(taken_of(wanted, taken))
}

fn taken_of(
    wanted: Vec<Wanted>,
    taken: Vec<Result<(), StoreError>>,
) -> Vec<Result<Wanted, StoreError>> {
    let both = wanted.into_iter().zip(taken);
    both.map(|(one, taken)| taken.map(|()| one)).collect()
}

async fn confirm_all(engine: Engine, confirmed: Vec<Confirmed>) -> Done<()> {
    let now = engine.now();
    let mut nexts: Vec<Publication> = confirmed
        .iter()
        .map(|one| one.told.published(&one.row.publication, now))
        .collect();
    let mut tx = engine.store.begin().await?;
    let held = fenced_of(&mut tx, confirmed.iter().map(|one| &one.job)).await?;
    let mut steps: Vec<Step<'_>> = confirmed
        .iter()
        .zip(&mut nexts)
        .filter(|(one, _)| held.contains(&one.job.id))
        .map(|(one, next)| {
            one.told.step(
                By::Worker(true),
                &one.row.publication,
                next,
                &one.attempt,
                now,
            )
        })
        .collect();
    let taken = engine.take_steps(&mut tx, &mut steps, now).await?;
    let taken = in_order(confirmed.iter().map(|one| &one.job), &held, taken);
    let is_taken = |n: &usize| taken.get(*n).is_some_and(Result::is_ok);
    let stored: Vec<usize> = (0..confirmed.len()).filter(is_taken).collect();
    let published: Vec<&Publication> = stored.iter().map(|n| &nexts[*n]).collect();
    let admissions = engine.after_settled(&mut tx, &published, now).await?;
    let jobs: Vec<&Job> = stored.iter().map(|n| &confirmed[*n].job).collect();
    let finished = jobs::finish_many(&mut tx, &jobs).await?;
    for job in jobs.into_iter().filter(|job| !finished.contains(&job.id)) {
        // Woken meanwhile.
        jobs::finish(&mut tx, job).await?;
    }
    failpoint::hit("confirm.commit");
    tx.commit().await?;
    failpoint::hit("K11");
    engine.hand_over_all(admissions);
    for publication in published {
        engine.announce(publication.workspace, "post", publication.post);
    }
    Ok(taken)
}

/// Of these jobs those whose claims still hold.
async fn fenced_of(
    tx: &mut Tx,
    jobs: impl Iterator<Item = &Job>,
) -> Result<HashSet<JobId>, StoreError> {
    let jobs: Vec<&Job> = jobs.collect();
    jobs::fence_many(tx, &jobs).await
}

/// What became of each, of which only those whose claims held were tried.
fn in_order<'a>(
    jobs: impl Iterator<Item = &'a Job>,
    held: &HashSet<JobId>,
    taken: Vec<Result<(), StoreError>>,
) -> Vec<Result<(), StoreError>> {
    let mut taken = taken.into_iter();
    let each = jobs.map(|job| match held.contains(&job.id) {
        true => taken.next().unwrap_or_else(|| Err(lost())),
        false => Err(lost()),
    });
    each.collect()
}

fn lost() -> StoreError {
    StoreError::Stale {
        what: "job's lease",
    }
}
