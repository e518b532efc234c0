//! What an outcome makes of its publication and of its account, in one transaction with all that follows.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    account::AccountState,
    event::{NewEvent, kind},
    publication::{Attempt, Publication, PublicationState},
    rule::Retry,
};
use so_store::{StoreError, Tx, accounts, attempts, jobs, jobs::Job, publications::PublicationRow};

use super::{
    limits,
    load::Ready,
    port::{Commit, PortError, PortErrorClass},
    relation::{self, By, Cause},
    spill::{self, Outcome},
    step::{Because, Step, fenced},
    together::Confirmed,
};
use crate::{admit::Admission, engine::Engine, run::delay_before};

/// What a network says of a post that it has.
#[derive(Debug, Clone)]
pub(super) struct Told {
    /// What the network calls it.
    pub(super) remote_id: String,
    /// Where people see it.
    pub(super) remote_url: Option<String>,
    /// What else the network needs to refer to it.
    pub(super) extra: Value,
}

impl Told {
    /// The publication, now that it is known to be live.
    pub(super) fn published(&self, was: &Publication, now: Timestamp) -> Publication {
        let mut next = was.clone();
        next.state = PublicationState::Published;
        next.remote_id = Some(self.remote_id.clone());
        next.remote_url.clone_from(&self.remote_url);
        next.published_at = Some(now);
        next.problem = None;
        if !next.progress.is_object() {
            next.progress = json!({});
        }
        next.progress["published"] = self.extra.clone();
        next
    }

    /// The step to `next`.
    pub(super) fn step<'a>(
        &self,
        by: By,
        was: &'a Publication,
        next: &'a mut Publication,
        attempt: &'a Attempt,
        now: Timestamp,
    ) -> Step<'a> {
        let evidence = json!({"remote_id": self.remote_id, "at": now});
        Step {
            was,
            next,
            because: Because::of(Cause::Confirmed, by, Some(attempt)).with_evidence(evidence),
            note: "confirmed by the network",
        }
    }
}

impl Engine {
    /// Settles the outcome of a commit call.
    pub(super) async fn settle_commit(
        &self,
        job: &Job,
        ready: Ready,
        attempt: Attempt,
        outcome: Commit,
    ) -> Result<(), StoreError> {
        match outcome {
            Commit::Published {
                remote_id,
                remote_url,
                extra,
            } => {
                let told = Told {
                    remote_id,
                    remote_url,
                    extra,
                };
                let confirmed = self.confirm(job, &ready.row, &attempt, told.clone()).await;
                match confirmed {
                    Err(StoreError::Conflict { .. }) => {
                        self.bound_elsewhere(job, ready, &attempt).await
                    }
                    Ok(()) => Ok(()),
                    Err(error) => {
                        let id = ready.row.publication.id;
                        let outcome = Outcome::new(&attempt, told);
                        // P3: a yes counts although the lease was lost meanwhile.
                        if matches!(error, StoreError::Stale { .. })
                            && let Ok(is_new) = spill::store(self, &outcome).await
                        {
                            tracing::warn!(publication.id = %id, is_new, "a confirmed publish came after its lease");
                            return Err(error);
                        }
                        // P6: the network said yes; that must outlive a database that is away.
                        let kept = spill::append(self, outcome);
                        tracing::error!(publication.id = %id, kept, %error, "a confirmed publish could not be stored");
                        Err(error)
                    }
                }
            }
            Commit::Refused(error) => self.settle_refusal(job, ready, Some(attempt), error).await,
            Commit::Unknown { evidence } => {
                let mut ready = ready;
                ready.row.publication.problem = Some(evidence.clone());
                self.mark_unknown(job, ready, &evidence).await
            }
        }
    }

    /// The network named a post that is bound to another publication: only a person can tell.
    pub(super) async fn bound_elsewhere(
        &self,
        job: &Job,
        ready: Ready,
        attempt: &Attempt,
    ) -> Result<(), StoreError> {
        let reason = "the network answered with the id of another post";
        let because = |by| Because::of(Cause::NamedAnother, by, Some(attempt));
        self.to_review(job, ready.row, because, reason).await
    }

    /// The outcome is not known: nothing is repeated before the network was asked.
    pub(super) async fn mark_unknown(
        &self,
        job: &Job,
        ready: Ready,
        note: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = &ready.row.publication;
        let mut publication = was.clone();
        publication.state = PublicationState::Unknown;
        publication.problem = Some(note.to_string());
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        let Some(attempt) = attempts::find_open(&mut tx, was.workspace, was.id).await? else {
            tx.rollback().await?;
            let reason = "the attempt in doubt is gone";
            let because = |by| Because::of(Cause::AttemptGone, by, None);
            return self.to_review(job, ready.row, because, reason).await;
        };
        let because = Because::of(Cause::Silent, by, Some(&attempt));
        self.take_step(&mut tx, was, &mut publication, because, note, now)
            .await?;
        let at = self.settled_at(&ready.work.account.network, &attempt);
        jobs::put_off(&mut tx, job, at.max(now), Some(note)).await?;
        crate::failpoint::hit("unknown.commit");
        tx.commit().await?;
        self.jobs_changed.ring();
        self.announce(publication.workspace, "post", publication.post);
        Ok(())
    }

    /// The network has it.
    pub(super) async fn confirm(
        &self,
        job: &Job,
        row: &PublicationRow,
        attempt: &Attempt,
        told: Told,
    ) -> Result<(), StoreError> {
        self.confirm_together(Confirmed {
            job: job.clone(),
            row: row.clone(),
            attempt: attempt.clone(),
            told,
        })
        .await
    }

    pub(super) async fn write_confirmed(
        &self,
        tx: &mut Tx,
        by: By,
        row: &PublicationRow,
        attempt: &Attempt,
        told: &Told,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let was = &row.publication;
        let mut publication = told.published(was, now);
        let step = told.step(by, was, &mut publication, attempt, now);
        let mut taken = self.take_steps(tx, &mut [step], now).await?;
        taken.pop().unwrap_or(Ok(()))?;
        self.after_settled(tx, &[&publication], now).await
    }

    /// Refused, or provably not taken.
    pub(super) async fn settle_refusal(
        &self,
        job: &Job,
        ready: Ready,
        attempt: Option<Attempt>,
        error: PortError,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = &ready.row.publication;
        let mut publication = was.clone();
        publication.problem = Some(full_text(&error));
        let cause = match attempt {
            Some(_) => Cause::Refused,
            None => Cause::NotPrepared,
        };
        let is_limit = error.class == PortErrorClass::Limited;
        let is_free = is_limit && limits::is_free(was, now);
        if attempt.is_none() && !is_free {
            // A failed preparation counts as a try as well, or it would go on for ever.
            publication.attempts += 1;
        }
        let again_at = self.again_at(&publication, &error, is_free, now).await?;
        publication.state = match (error.class, again_at) {
            (PortErrorClass::Reconnect, _) => PublicationState::Held,
            (_, Some(_)) => PublicationState::RetryWait,
            (_, None) => PublicationState::Failed,
        };
        let mut note = error.message.clone();
        if let Some(at) = again_at.filter(|_| is_limit) {
            note = limits::told(&error.message, at);
            publication.problem = Some(note.clone());
        }
        let mut evidence = json!({"code": error.code, "message": error.message, "at": now});
        if is_free {
            limits::mark_free(&mut evidence);
        }
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        let because = Because::of(cause, by, attempt.as_ref()).with_evidence(evidence);
        self.take_step(&mut tx, was, &mut publication, because, &note, now)
            .await?;
        let mut admissions = Vec::new();
        match (error.class, again_at) {
            (PortErrorClass::Reconnect, _) => {
                admissions.extend(
                    self.require_reconnect(&mut tx, &publication, &error, now)
                        .await?,
                );
                self.wait_for_account(&mut tx, job, &publication, now)
                    .await?;
            }
            (_, Some(at)) => {
                jobs::put_off(&mut tx, job, at, Some(&note)).await?;
                self.jobs_changed.ring();
            }
            (_, None) => {
                jobs::finish(&mut tx, job).await?;
                admissions = self.after_settled(&mut tx, &[&publication], now).await?;
            }
        }
        crate::failpoint::hit("refused.commit");
        tx.commit().await?;
        crate::failpoint::hit("K13");
        // A limit of uploads says nothing about posts that need none.
        if is_limit && attempt.is_some() {
            self.pauses.begin(publication.account, now, &error);
        }
        self.hand_over_all(admissions);
        self.announce(publication.workspace, "post", publication.post);
        Ok(())
    }

    /// When a refused publication is tried again, if it is.
    async fn again_at(
        &self,
        publication: &Publication,
        error: &PortError,
        is_free: bool,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let goes_on = match error.class {
            PortErrorClass::Content | PortErrorClass::Reconnect => false,
            PortErrorClass::Limited if is_free => true,
            PortErrorClass::Limited | PortErrorClass::Transient => {
                let mut reader = self.store.clone();
                let tries = self.counted_tries(&mut reader, publication).await?;
                tries < self.config.publish_tries
            }
        };
        Ok(goes_on.then(|| {
            let tries = publication.attempts;
            let unit = self.ids.unit();
            now.plus(delay_before(
                &Retry::default(),
                tries,
                unit,
                error.retry_after.map(|wait| wait.min(limits::PAUSE_MAX)),
            ))
        }))
    }

    async fn require_reconnect(
        &self,
        tx: &mut Tx,
        publication: &Publication,
        error: &PortError,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let problem = full_text(error);
        let changed = accounts::set_state(
            tx,
            publication.workspace,
            publication.account,
            &[AccountState::Active],
            AccountState::ReconnectRequired,
            Some(&problem),
            now,
        )
        .await;
        match changed {
            Ok(_) => {}
            // Another publication of the account noticed it first, and told.
            Err(StoreError::Stale { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(error),
        }
        let data = json!({"account": {"id": publication.account}, "reason": problem});
        let event = NewEvent::new(
            publication.workspace,
            kind::ACCOUNT_RECONNECT_REQUIRED,
            data,
        )
        .about(publication.account);
        Ok(vec![self.admit(tx, event).await?])
    }

    /// The account cannot be used now: the publication waits, it does not fail.
    pub(super) async fn hold(
        &self,
        job: &Job,
        row: PublicationRow,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = &row.publication;
        let mut publication = was.clone();
        publication.state = PublicationState::Held;
        publication.problem = Some(reason.to_string());
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        let because = Because::of(Cause::AccountAway, by, None);
        self.take_step(&mut tx, was, &mut publication, because, reason, now)
            .await?;
        self.wait_for_account(&mut tx, job, &publication, now)
            .await?;
        crate::failpoint::hit("hold.commit");
        tx.commit().await?;
        self.announce(publication.workspace, "post", publication.post);
        Ok(())
    }

    /// Ends the job of a held publication, unless the account changed meanwhile.
    ///
    /// Whoever changes an account wakes what is held; the row's lock puts the two in order.
    async fn wait_for_account(
        &self,
        tx: &mut Tx,
        job: &Job,
        publication: &Publication,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let account =
            accounts::find_for_update(tx, publication.workspace, publication.account).await?;
        match account.map(|account| account.state) {
            Some(AccountState::Paused | AccountState::ReconnectRequired) => {
                jobs::finish(tx, job).await
            }
            Some(AccountState::Active | AccountState::Removed) | None => {
                self.jobs_changed.ring();
                jobs::put_off(tx, job, now, None).await
            }
        }
    }

    /// It will not be sent.
    pub(super) async fn give_up(
        &self,
        job: &Job,
        row: PublicationRow,
        reason: &str,
    ) -> Result<(), StoreError> {
        if !relation::is_in_doubt(row.publication.state) {
            let because = |by| Because::of(Cause::Orphaned, by, None);
            let state = PublicationState::Cancelled;
            return self.end_as(job, row, state, because, reason).await;
        }
        // It may be live, and there is no account any more with which the network could be asked.
        let mut reader = self.store.clone();
        let (workspace, id) = (row.publication.workspace, row.publication.id);
        let open = attempts::find_open(&mut reader, workspace, id).await?;
        let cause = match open {
            Some(_) => Cause::NobodyToAsk,
            None => Cause::AttemptGone,
        };
        let because = |by| Because::of(cause, by, open.as_ref());
        self.to_review(job, row, because, reason).await
    }

    /// Only a person can tell.
    pub(super) async fn to_review<'a>(
        &self,
        job: &Job,
        row: PublicationRow,
        because: impl FnOnce(By) -> Because<'a>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let state = PublicationState::NeedsReview;
        self.end_as(job, row, state, because, reason).await
    }

    /// No machine will move it on from this state.
    async fn end_as<'a>(
        &self,
        job: &Job,
        row: PublicationRow,
        state: PublicationState,
        because: impl FnOnce(By) -> Because<'a>,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let was = row.publication;
        let mut publication = was.clone();
        publication.state = state;
        publication.problem = Some(reason.to_string());
        let mut tx = self.store.begin().await?;
        let because = because(fenced(&mut tx, job).await?);
        self.take_step(&mut tx, &was, &mut publication, because, reason, now)
            .await?;
        let admissions = self.after_settled(&mut tx, &[&publication], now).await?;
        jobs::finish(&mut tx, job).await?;
        crate::failpoint::hit("end.commit");
        tx.commit().await?;
        self.hand_over_all(admissions);
        self.announce(publication.workspace, "post", publication.post);
        Ok(())
    }
}

pub(super) fn full_text(error: &PortError) -> String {
    if error.next_step.is_empty() {
        error.message.clone()
    } else {
        format!("{}. {}", error.message, error.next_step)
    }
}
