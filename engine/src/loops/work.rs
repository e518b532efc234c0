//! Carries out jobs: those handed over in memory, and those claimed from rows.

use std::{sync::Arc, sync::atomic::Ordering, time::Duration};

use so_model::time::SECOND;
use so_store::{StoreError, jobs};
use tokio::sync::Semaphore;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::LoopName;
use crate::{
    admit::JOB_RUN,
    config::JOB_TRIES_MAX,
    engine::{Engine, Handed, HandedReceiver},
    publish::JOB_PUBLICATION,
};

/// Rows are looked at this often even if nobody said that there are any.
const POLL: Duration = Duration::from_millis(500);
/// Longest sleep before a database that is away is tried again.
const AWAY: Duration = Duration::from_secs(1);

pub(super) async fn run(
    engine: Engine,
    mut receiver: HandedReceiver,
    tracker: TaskTracker,
    stop: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(engine.config.workers));
    loop {
        let place = tokio::select! {
            () = stop.cancelled() => break,
            place = places.clone().acquire_owned() => match place {
                Ok(place) => place,
                Err(_) => break,
            },
        };
        let handed = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            handed = receiver.recv() => handed,
            () = wait_for_rows(&engine) => None,
        };
        if let Some(handed) = handed {
            let engine = engine.clone();
            tracker.spawn(async move {
                engine.carry_out(handed).await;
                drop(place);
            });
            continue;
        }
        drop(place);
        let free = places.available_permits().max(1);
        match engine.claim_jobs(free).await {
            Ok(claimed) => {
                engine.pulse.beat(LoopName::Work, engine.now());
                for handed in claimed {
                    let Ok(place) = places.clone().acquire_owned().await else {
                        break;
                    };
                    let engine = engine.clone();
                    tracker.spawn(async move {
                        engine.carry_out(handed).await;
                        drop(place);
                    });
                }
            }
            Err(error) => {
                tracing::warn!(%error, "jobs cannot be claimed");
                tokio::time::sleep(AWAY).await;
            }
        }
    }
    // Claimed at birth but not begun: still leased rows, freed for the next process.
    receiver.close();
    while let Some(handed) = receiver.recv().await {
        engine.release(&handed).await;
    }
}

/// Returns when a row is due. A look costs a read; only then a claim writes.
async fn wait_for_rows(engine: &Engine) {
    loop {
        let due = match jobs::next_due(&mut engine.store.clone()).await {
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
            () = engine.jobs_changed.notified() => {}
            () = tokio::time::sleep(sleep) => {}
        }
    }
}

impl Engine {
    /// Claims jobs that are due.
    pub async fn claim_jobs(&self, limit: usize) -> Result<Vec<Handed>, StoreError> {
        let now = self.now();
        let until = now.plus(self.config.lease);
        let mut tx = self.store.begin().await?;
        let limit = i64::try_from(limit).unwrap_or(1);
        let claimed = jobs::claim(&mut tx, now, &self.config.owner, until, limit).await?;
        if claimed.is_empty() {
            tx.rollback().await?;
        } else {
            tx.commit().await?;
        }
        Ok(claimed
            .into_iter()
            .map(|job| Handed { job, fresh: None })
            .collect())
    }

    /// Carries out one job; an error puts it back.
    pub async fn carry_out(&self, handed: Handed) {
        let job = handed.job.clone();
        self.counters.jobs.fetch_add(1, Ordering::Relaxed);
        let result = match job.kind.as_str() {
            JOB_RUN => self.advance(handed).await,
            JOB_PUBLICATION => self.move_publication(&job).await,
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
                    tracing::warn!(job.id = %job.id, %error, "a job could not be put back; its lease frees it");
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
        jobs::put_off(&mut tx, job, self.now().plus(delay), Some(problem)).await?;
        tx.commit().await
    }

    // A stale step under a lease that still holds would otherwise wait for the lease's end.
    async fn put_back_quietly(&self, job: &jobs::Job) {
        if let Err(error) = self.put_back(job, "the row was changed meanwhile").await
            && !matches!(error, StoreError::Stale { .. })
        {
            tracing::warn!(job.id = %job.id, %error, "a job could not be put back; its lease frees it");
        }
    }

    pub(super) async fn release(&self, handed: &Handed) {
        let release = async {
            let mut tx = self.store.begin().await?;
            jobs::put_off(&mut tx, &handed.job, self.now(), None).await?;
            tx.commit().await
        };
        if let Err(error) = release.await {
            tracing::warn!(job.id = %handed.job.id, %error, "a job could not be released; its lease frees it");
        }
    }
}
