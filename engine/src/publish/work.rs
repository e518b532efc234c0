//! Moves one publication on, under the lease of its job.

use std::time::Duration;

use serde_json::Value;
use so_model::{
    IdSource as _, Timestamp,
    account::AccountState,
    id::PublicationId,
    publication::{Attempt, AttemptPhase, PublicationState},
};
use so_store::{
    StoreError, accounts, jobs, jobs::Job, posts, publications, publications::PublicationRow,
};

use super::{
    port::{Commit, ParentRef, Prepare, PublishWork},
    relation::{self, By, Cause, Open, Work},
    step::{Because, fenced},
};
use crate::{engine::Engine, failpoint, lanes::Entered};

/// Kind of the jobs that carry publications.
pub const JOB_PUBLICATION: &str = "publication";
/// Private sub-steps done in one go before the job is put back.
const PREPARE_STEPS_MAX: u32 = 200;

/// A publication ready to be worked on, or why it is not.
pub(super) enum Loaded {
    Ready(Box<Ready>),
    /// Nothing to do: gone, settled, or waiting for somebody to wake it.
    Idle,
    /// Must wait for the account.
    Held(Box<PublicationRow>, String),
    /// It will never be sent, and why.
    Orphan(Box<PublicationRow>, &'static str),
    /// What it answers to has no known id.
    Detached(Box<Ready>),
}

pub(super) struct Ready {
    pub(super) row: PublicationRow,
    pub(super) work: PublishWork,
}

impl Engine {
    /// Works on the publication of a claimed job.
    pub(crate) async fn move_publication(&self, job: &Job) -> Result<(), StoreError> {
        let ready = match self.load_publication(job).await? {
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
                match self.enter_lane(&lane, job).await? {
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

    async fn load_publication(&self, job: &Job) -> Result<Loaded, StoreError> {
        let mut reader = self.store.clone();
        let Ok(id) = job.subject.parse::<PublicationId>() else {
            return Ok(Loaded::Idle);
        };
        let Some(row) = publications::find_with_content(&mut reader, job.workspace, id).await?
        else {
            return Ok(Loaded::Idle);
        };
        if row.publication.state.is_settled() {
            return Ok(Loaded::Idle);
        }
        let is_doubtful = relation::is_in_doubt(row.publication.state);
        let Some(account) =
            accounts::find(&mut reader, job.workspace, row.publication.account).await?
        else {
            return Ok(Loaded::Orphan(Box::new(row), "the account is gone"));
        };
        // Nobody can connect it again; what waited for it would wait for ever.
        if !is_doubtful && account.state == AccountState::Removed {
            return Ok(Loaded::Orphan(Box::new(row), "the account was removed"));
        }
        // A doubtful one is reconciled whatever the account's state: asking changes nothing.
        if !is_doubtful && account.state != AccountState::Active {
            let reason = match account.state {
                AccountState::Paused => "the account is paused",
                _ => "the account must be connected again",
            };
            return Ok(Loaded::Held(Box::new(row), reason.to_string()));
        }
        let siblings =
            publications::list_for_post(&mut reader, job.workspace, row.publication.post).await?;
        let own = |part: i64| {
            siblings
                .iter()
                .map(|sibling| &sibling.publication)
                .find(|other| other.variant == row.publication.variant && other.part == part)
        };
        let reference = |part: i64| {
            own(part).and_then(|other| {
                other.remote_id.clone().map(|remote_id| ParentRef {
                    remote_id,
                    extra: other
                        .progress
                        .get("published")
                        .cloned()
                        .unwrap_or(Value::Null),
                })
            })
        };
        let part = row.publication.part;
        if part > 0 {
            match own(part - 1).map(|before| before.state) {
                Some(PublicationState::Published) => {}
                Some(PublicationState::Failed | PublicationState::Cancelled) | None => {
                    let reason = "the part before it was not published";
                    return Ok(Loaded::Orphan(Box::new(row), reason));
                }
                // P7: it is woken when the part before it is live.
                Some(_) => return Ok(Loaded::Idle),
            }
        }
        let post = posts::find(&mut reader, job.workspace, row.publication.post).await?;
        let destination = post
            .and_then(|post| {
                post.variants
                    .into_iter()
                    .find(|v| v.id == row.publication.variant)
            })
            .and_then(|variant| variant.destination);
        let work = PublishWork {
            publication: row.publication.clone(),
            account,
            destination,
            content: row.content.clone(),
            parent: if part > 0 { reference(part - 1) } else { None },
            root: if part > 0 { reference(0) } else { None },
        };
        if part > 0 && work.parent.is_none() && !is_doubtful {
            // Declared live by a person without its id: an answer to it would stand alone.
            return Ok(Loaded::Detached(Box::new(Ready { row, work })));
        }
        Ok(Loaded::Ready(Box::new(Ready { row, work })))
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
        let because = |by| Because::of(Cause::Claimed, by, None);
        let now = self.now();
        self.step_to(
            job,
            ready,
            PublicationState::Preparing,
            because,
            "claimed",
            now,
        )
        .await
    }

    /// Takes the publication to a state under a new fencing epoch.
    pub(super) async fn step_to<'a>(
        &self,
        job: &Job,
        ready: &mut Ready,
        state: PublicationState,
        because: impl FnOnce(By) -> Because<'a>,
        note: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let was = ready.row.publication.clone();
        ready.row.publication.state = state;
        let mut tx = self.store.begin().await?;
        let because = because(fenced(&mut tx, job).await?);
        self.take_step(
            &mut tx,
            &was,
            &mut ready.row.publication,
            because,
            note,
            now,
        )
        .await?;
        failpoint::hit("K1");
        tx.commit().await?;
        failpoint::hit("K2");
        ready.work.publication = ready.row.publication.clone();
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
        let was = ready.row.publication.clone();
        let publication = &mut ready.row.publication;
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
            deadline_at: relation::deadline(now, self.config.call_timeout, self.config.lease),
            phase: AttemptPhase::Open,
            evidence: Value::Null,
        };
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        jobs::extend(&mut tx, job, now.plus(self.config.lease)).await?;
        let because = Because::of(Cause::Intended, by, Some(&attempt));
        self.take_step(&mut tx, &was, publication, because, "intent", now)
            .await?;
        failpoint::hit("K5");
        tx.commit().await?;
        ready.work.publication = ready.row.publication.clone();
        Ok(attempt)
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
