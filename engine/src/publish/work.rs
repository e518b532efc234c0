//! Moves one publication on, under the lease of its job.

use std::time::Duration;

use serde_json::Value;
use so_model::{
    IdSource as _, Timestamp,
    publication::{Attempt, AttemptPhase, PublicationState},
};
use so_store::{StoreError, jobs, jobs::Job, publications};

use super::{
    load::{Loaded, Ready},
    port::{Commit, Prepare},
    relation::{self, Cause, Open, Work},
    step::Because,
    together::Wanted,
};
use crate::{
    engine::{Engine, Handed},
    failpoint,
    lanes::Entered,
};

/// Kind of the jobs that carry publications.
pub const JOB_PUBLICATION: &str = "publication";
/// Private sub-steps done in one go before the job is put back.
const PREPARE_STEPS_MAX: u32 = 200;

impl Engine {
    /// Works on the publication of a claimed job.
    pub(crate) async fn move_publication(&self, handed: Handed) -> Result<(), StoreError> {
        let Handed { job, place, .. } = handed;
        let job = &job;
        let ready = match self.load_together(job).await? {
            Loaded::Ready(ready) => *ready,
            Loaded::Idle => return self.finish_job(job).await,
            Loaded::Held(row, reason) => return self.hold(job, *row, &reason).await,
            Loaded::Orphan(row, reason) => return self.give_up(job, *row, reason).await,
            Loaded::Detached(ready) => {
                let reason = "the part before it is live, but its id at the network is not known";
                let because = |by| Because::of(Cause::Detached, by, None);
                return self.to_review(job, ready.row, because, reason).await;
            }
        };
        let work = relation::work_for(ready.row.publication.state);
        let _place = match work {
            Work::Send | Work::Reconcile => {
                let lane = format!("account/{}", ready.row.publication.account);
                match self.enter_lane(&lane, job, place).await? {
                    Entered::Now(place) => Some(place),
                    Entered::Waits => return Ok(()),
                }
            }
            Work::MarkUnknown | Work::Nothing => None,
        };
        match work {
            Work::Send => match self.gap_to_ask(&ready).await? {
                Some(gap) => self.presume_sent(job, ready, &gap).await,
                None => self.send(job, ready).await,
            },
            Work::MarkUnknown => {
                self.mark_unknown(job, ready, "the server stopped during the call")
                    .await
            }
            Work::Reconcile => self.reconcile(job, ready).await,
            Work::Nothing => self.finish_job(job).await,
        }
    }

    async fn finish_job(&self, job: &Job) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        jobs::finish(&mut tx, job).await?;
        failpoint::hit("job.finish.commit");
        tx.commit().await
    }

    /// Prepares, commits the intent, makes the call, settles.
    async fn send(&self, job: &Job, mut ready: Ready) -> Result<(), StoreError> {
        self.claim(job, &mut ready).await?;
        let account = ready.row.publication.account;
        if let Some(error) = self.pauses.of(account, self.now()) {
            return self.settle_refusal(job, ready, None, error).await;
        }
        let mut progress = ready.row.publication.progress.clone();
        for _ in 0..PREPARE_STEPS_MAX {
            let now = self.now();
            failpoint::hit("prepare");
            match self
                .publisher
                .prepare(&ready.work, progress.clone(), now)
                .await
            {
                Ok(Prepare::Ready { progress: last }) => {
                    ready.row.publication.progress = last;
                    let attempt = self.commit_intent(job, &mut ready).await?;
                    let outcome = self.call(&ready, &attempt).await?;
                    self.settle_commit(job, ready, attempt, outcome).await?;
                    return Ok(());
                }
                Ok(Prepare::Again {
                    progress: next,
                    after,
                }) => {
                    progress = next;
                    ready.row.publication.progress = progress.clone();
                    let is_put_off = self.store_progress(job, &mut ready, after).await?;
                    if is_put_off {
                        return Ok(());
                    }
                }
                Err(error) => return self.settle_refusal(job, ready, None, error).await,
            }
        }
        let error = super::PortError {
            class: super::PortErrorClass::Transient,
            code: "publish.too_many_steps".into(),
            message: "preparing the upload did not come to an end".into(),
            next_step: String::new(),
            retry_after: None,
        };
        self.settle_refusal(job, ready, None, error).await
    }

    async fn claim(&self, job: &Job, ready: &mut Ready) -> Result<(), StoreError> {
        let mut wanted = Wanted::of(job, ready, Cause::Claimed, "claimed");
        wanted.next.state = PublicationState::Preparing;
        self.step_to(ready, wanted).await
    }

    /// Takes the publication to a state under a new fencing epoch.
    pub(super) async fn step_to(
        &self,
        ready: &mut Ready,
        wanted: Wanted,
    ) -> Result<(), StoreError> {
        ready.is_now(self.claim_together(wanted).await?.next);
        Ok(())
    }

    // True when the job was put back because the network wants time.
    async fn store_progress(
        &self,
        job: &Job,
        ready: &mut Ready,
        after: i64,
    ) -> Result<bool, StoreError> {
        let now = self.now();
        let publication = &ready.row.publication;
        let mut tx = self.store.begin().await?;
        jobs::fence(&mut tx, job).await?;
        publications::save_progress(&mut tx, publication, publication.epoch, now).await?;
        if after > 0 {
            jobs::put_off(&mut tx, job, now.plus(after), None).await?;
            self.jobs_changed.ring();
        }
        // K4: an id that was not stored leaves a harmless orphan at the network.
        failpoint::hit("K4");
        tx.commit().await?;
        failpoint::hit("K3");
        ready.work.publication = ready.row.publication.clone();
        Ok(after > 0)
    }

    /// P1: the attempt is on disk, under a claim that still holds, before the call.
    async fn commit_intent(&self, job: &Job, ready: &mut Ready) -> Result<Attempt, StoreError> {
        let now = self.now();
        let mut wanted = Wanted::of(job, ready, Cause::Intended, "intent");
        let publication = &mut wanted.next;
        publication.state = PublicationState::Sending;
        publication.attempts += 1;
        let attempt = Attempt {
            id: self.ids.new_id(),
            workspace: publication.workspace,
            publication: publication.id,
            n: publication.attempts,
            epoch: publication.epoch,
            key: publication.id.uuid().to_string(),
            fingerprint: self.publisher.fingerprint(&ready.work),
            intent_at: now,
            deadline_at: now,
            phase: AttemptPhase::Open,
            evidence: Value::Null,
        };
        wanted.attempt = Some(attempt);
        let taken = self.intend_together(wanted).await?;
        ready.is_now(taken.next);
        taken.attempt.ok_or(StoreError::Stale { what: "attempt" })
    }

    async fn call(&self, ready: &Ready, attempt: &Attempt) -> Result<Commit, StoreError> {
        // A process that was stopped for a while must not begin a call that others hold for over.
        let now = self.now();
        if !relation::may_call(&Open::from(attempt), now) {
            return Err(StoreError::Stale {
                what: "call's deadline",
            });
        }
        // A clock that was set back in between must not make the call longer than it may be.
        let left = attempt.deadline_at.since(now).min(self.config.call_timeout);
        let limit = Duration::from_micros(left.unsigned_abs());
        let call = self
            .publisher
            .commit(&ready.work, &ready.row.publication.progress, attempt);
        failpoint::hit("K6");
        let answered = tokio::time::timeout(limit, call).await;
        failpoint::hit("K10");
        Ok(answered.unwrap_or_else(|_| Commit::Unknown {
            evidence: "no answer before the deadline".into(),
        }))
    }

    /// Microseconds within which a network lists what it accepted.
    pub(super) fn settle_of(&self, network: &str) -> i64 {
        self.config
            .settle_override
            .unwrap_or_else(|| self.publisher.settle(network))
    }

    /// When an attempt's outcome may be asked for.
    pub(super) fn settled_at(&self, network: &str, attempt: &Attempt) -> Timestamp {
        relation::settled_at(&Open::from(attempt), self.settle_of(network))
    }
}
