//! Carries out jobs: those handed over in memory, and those claimed from rows.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use so_model::time::SECOND;
use so_store::{StoreError, jobs};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{LoopName, claim::Turn};
use crate::{
    admit::JOB_RUN,
    config::JOB_TRIES_MAX,
    engine::{Engine, Handed, HandedReceiver},
    publish::JOB_PUBLICATION,
};

/// Rows are looked at this often even if nobody said that there are any.
const POLL: Duration = Duration::from_millis(500);
/// Rows claimed in one transaction.
const CLAIM_MAX: usize = 64;
/// Jobs remembered while the database cannot take them back; the leases of further ones free them.
const OWED_MAX: usize = 10_000;
/// What is due and cannot be had is being claimed by another process, or its workspace has its share of places;
/// both pass in a moment.
const TAKEN: Duration = Duration::from_millis(50);
/// Longest sleep before a database that is away is tried again.
const AWAY: Duration = Duration::from_secs(1);

/// All sources side by side: a stream of fresh work must not starve retries and delays, nor runs the publishing.
pub(super) async fn run(
    engine: Engine,
    receiver: HandedReceiver,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let crew = |kind| Crew {
        kind,
        places: Arc::new(Semaphore::new(engine.config.workers)),
        engine: engine.clone(),
        tracker: tracker.clone(),
        stop: stop.clone(),
    };
    let (runs, publishing) = (crew(JOB_RUN), crew(JOB_PUBLICATION));
    tokio::join!(
        runs.work_handed(&receiver),
        runs.work_rows(),
        publishing.work_handed(&receiver),
        publishing.work_rows()
    );
}

/// Who works on one kind of jobs, with places of its own.
struct Crew {
    kind: &'static str,
    engine: Engine,
    places: Arc<Semaphore>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Crew {
    /// None when the server stops.
    async fn place(&self) -> Option<OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            place = self.places.clone().acquire_owned() => place.ok(),
        }
    }

    fn begin(&self, handed: Handed, place: OwnedSemaphorePermit) {
        let engine = self.engine.clone();
        // Publishing has places of its own and counts no share of the runs'.
        let share = (self.kind == JOB_RUN).then(|| engine.handed.occupy(handed.job.workspace));
        // In a box: on its way into the runtime it is moved several times.
        self.tracker.spawn(Box::pin(async move {
            engine.carry_out(handed).await;
            drop((place, share));
        }));
    }

    async fn work_handed(&self, receiver: &HandedReceiver) {
        // The work first and then a place for it: a place kept while waiting would be lost to rows.
        while !self.stop.is_cancelled() {
            let handed = tokio::select! {
                biased;
                () = self.stop.cancelled() => break,
                handed = receiver.recv(self.kind) => handed,
            };
            let Some(handed) = handed else { break };
            match self.place().await {
                Some(place) => self.begin(handed, place),
                None => self.engine.release(&handed).await,
            }
        }
        // Claimed at birth but not begun: still leased rows, freed for the next process.
        for handed in receiver.close() {
            self.engine.release(&handed).await;
        }
    }

    async fn work_rows(&self) {
        let mut bell = self.engine.jobs_changed.listen();
        let mut turn = Turn::default();
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return,
                () = self.wait_for_rows(&mut bell) => {}
            }
            let Some(first) = self.place().await else {
                return;
            };
            let mut places = vec![first];
            while places.len() < CLAIM_MAX
                && let Ok(place) = self.places.clone().try_acquire_owned()
            {
                places.push(place);
            }
            match self
                .engine
                .claim_in_turn(self.kind, places.len(), &mut turn)
                .await
            {
                Ok(claimed) => {
                    self.engine.pulse.beat(LoopName::Work, self.engine.now());
                    if claimed.is_empty() {
                        drop(places);
                        tokio::time::sleep(TAKEN).await;
                        continue;
                    }
                    let mut places = places.into_iter();
                    for handed in self.engine.read_ahead(claimed).await {
                        let place = match places.next() {
                            Some(place) => Some(place),
                            None => self.place().await,
                        };
                        match place {
                            Some(place) => self.begin(handed, place),
                            None => self.engine.release(&handed).await,
                        }
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be claimed");
                    tokio::time::sleep(AWAY).await;
                }
            }
        }
    }

    /// Returns when a row is due. A look costs a read; only then a claim writes.
    async fn wait_for_rows(&self, bell: &mut watch::Receiver<()>) {
        let engine = &self.engine;
        loop {
            bell.borrow_and_update();
            let due = match jobs::next_due(&mut engine.store.clone(), self.kind).await {
                Ok(due) => due,
                Err(error) => {
                    tracing::warn!(%error, "jobs cannot be read");
                    tokio::time::sleep(AWAY).await;
                    continue;
                }
            };
            let now = engine.now();
            if due.is_some_and(|due| due <= now) {
                return;
            }
            engine.pulse.beat(LoopName::Work, now);
            let sleep = due.map_or(POLL, |due| {
                Duration::from_micros(u64::try_from(due.since(now)).unwrap_or(0)).min(POLL)
            });
            tokio::select! {
                // The sender lives as long as the engine.
                _ = bell.changed() => {}
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}

impl Engine {
    /// Carries out one job; an error puts it back.
    pub async fn carry_out(&self, handed: Handed) {
        let job = handed.job.clone();
        let _held = self.hold_lease(&job);
        self.counters.jobs.fetch_add(1, Ordering::Relaxed);
        let result = match job.kind.as_str() {
            JOB_RUN => self.advance(handed).await,
            // In a box: a run's job would be more than twice as large to begin with.
            JOB_PUBLICATION => Box::pin(self.move_publication(handed)).await,
            _ => {
                self.put_back(&job, "this server does not know this kind of job")
                    .await
            }
        };
        match result {
            Ok(()) => {}
            // Somebody else holds the job now; nothing was changed here.
            Err(StoreError::Stale { what }) => {
                tracing::info!(job.id = %job.id, what, "work was given up to another claim");
                self.put_back_quietly(&job).await;
            }
            Err(error) => {
                self.counters.job_errors.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(job.id = %job.id, job.kind = %job.kind, %error, "a job is put back");
                let text = error.to_string();
                if let Err(error) = self.put_back(&job, &text).await {
                    self.owe(&job, text, &error);
                }
            }
        }
    }

    /// The database is away: the job is put back as soon as it answers, not when the lease ends.
    fn owe(&self, job: &jobs::Job, problem: String, error: &StoreError) {
        if matches!(error, StoreError::Stale { .. }) {
            return;
        }
        let mut owed = crate::engine::lock(&self.owed);
        let is_kept = owed.len() < OWED_MAX;
        if is_kept {
            owed.push((job.clone(), problem));
        }
        tracing::warn!(job.id = %job.id, is_kept, %error, "a job could not be put back yet");
    }

    /// Puts back what the database could not take when it failed.
    pub(super) async fn put_owed_back(&self) -> Result<(), StoreError> {
        loop {
            let Some((job, problem)) = crate::engine::lock(&self.owed).pop() else {
                return Ok(());
            };
            match self.put_back(&job, &problem).await {
                // Freed by the end of its lease meanwhile.
                Ok(()) | Err(StoreError::Stale { .. }) => self.jobs_changed.ring(),
                Err(error) => {
                    crate::engine::lock(&self.owed).push((job, problem));
                    return Err(error);
                }
            }
        }
    }

    async fn put_back(&self, job: &jobs::Job, problem: &str) -> Result<(), StoreError> {
        let exponent = u32::try_from(job.tries.clamp(1, 9)).unwrap_or(1);
        let mut delay = SECOND << exponent.min(9);
        if job.tries >= JOB_TRIES_MAX {
            tracing::error!(job.id = %job.id, tries = job.tries, "a job keeps failing; somebody must look");
            delay = so_model::time::HOUR;
        }
        let mut tx = self.store.begin().await?;
        jobs::put_back(&mut tx, job, self.now().plus(delay), problem).await?;
        crate::failpoint::hit("job.put_back.commit");
        tx.commit().await
    }

    // A stale step under a lease that still holds would otherwise wait for the lease's end.
    async fn put_back_quietly(&self, job: &jobs::Job) {
        let problem = "the row was changed meanwhile";
        if let Err(error) = self.put_back(job, problem).await {
            self.owe(job, problem.to_string(), &error);
        }
    }

    pub(super) async fn release(&self, handed: &Handed) {
        let release = async {
            let mut tx = self.store.begin().await?;
            jobs::put_off(&mut tx, &handed.job, self.now(), None).await?;
            crate::failpoint::hit("job.release.commit");
            tx.commit().await
        };
        if let Err(error) = release.await {
            tracing::warn!(job.id = %handed.job.id, %error, "a job could not be released; its lease frees it");
        }
    }
}
