//! What became of an attempt whose outcome is unknown.
//!
//! Invariant: "not listed yet" is not "not published". Absence counts only
//! after the settle window, seen twice, some time apart, in a complete list.

use serde_json::json;
use so_model::{
    Timestamp,
    publication::{Attempt, PublicationState},
    time::MINUTE,
};
use so_store::{StoreError, attempts, jobs, jobs::Job, publications};

use super::{
    gap,
    load::Ready,
    port::Found,
    relation::{self, Absence, Cause, Open},
    result::Told,
    step::{Because, absent_since, fenced, set_absent_since},
    together::Wanted,
};
use crate::{engine::Engine, failpoint};

/// Remote ids of other publications that cannot be this one.
const BOUND_MAX: i64 = 500;
/// Time before a network that could not be asked is asked again.
const ASK_AGAIN: i64 = MINUTE;

impl Engine {
    pub(super) async fn reconcile(&self, job: &Job, mut ready: Ready) -> Result<(), StoreError> {
        let now = self.now();
        let mut reader = self.store.clone();
        let publication = &ready.row.publication;
        let open = attempts::find_open(&mut reader, publication.workspace, publication.id).await?;
        let Some(attempt) = open else {
            let reason = "the attempt in doubt is gone";
            let because = |by| Because::of(Cause::AttemptGone, by, None);
            return self.to_review(job, ready.row, because, reason).await;
        };
        let attempt = self.prolonged(attempt, &mut ready);
        let settle = self.settle_of(&ready.work.account.network);
        let settled_at = relation::settled_at(&Open::from(&attempt), settle);
        if now < settled_at {
            return self
                .ask_later(job, settled_at, "waits until the network has settled")
                .await;
        }
        if ready.row.publication.state != PublicationState::Reconciling {
            let mut wanted = Wanted::of(job, &ready, Cause::Asked, "asks the network");
            wanted.next.state = PublicationState::Reconciling;
            wanted.attempt = Some(attempt.clone());
            wanted.settle = settle;
            self.step_to(&mut ready, wanted).await?;
        }
        let bound = publications::bound_remote_ids(
            &mut reader,
            ready.row.publication.workspace,
            ready.row.publication.account,
            BOUND_MAX,
        )
        .await?;
        let bound: Vec<String> = bound.into_iter().collect();
        let found = self
            .publisher
            .find(
                &ready.work,
                &ready.row.publication.progress,
                &attempt,
                &bound,
            )
            .await;
        failpoint::hit("K12");
        match found {
            Found::One {
                remote_id,
                remote_url,
                extra,
            } => {
                let told = Told {
                    remote_id,
                    remote_url,
                    extra,
                };
                let confirmed = self.confirm(job, &ready.row, &attempt, told).await;
                match confirmed {
                    Err(StoreError::Conflict { .. }) => {
                        self.bound_elsewhere(job, ready, &attempt).await
                    }
                    other => other,
                }
            }
            Found::Absent => {
                if let Some(left) = self.clock_doubt(settle) {
                    let note =
                        "the clock was set; waits until the network has settled all the same";
                    return self.ask_later(job, self.now().plus(left), note).await;
                }
                // A look counts from its answer: it may have been on its way for long.
                let told_at = self.now().max(now);
                self.seen_absent(job, ready, attempt, now, told_at).await
            }
            Found::Several(ids) => {
                let reason = format!("{} posts at the network look like this one", ids.len());
                self.cannot_tell(job, ready, &attempt, &reason).await
            }
            // As likely as not nothing was lost; what cannot be asked then goes out as it always would.
            Found::CannotTell(reason) if gap::is_mere_caution(&attempt) => {
                self.nothing_lost(job, ready, &attempt, &reason).await
            }
            Found::CannotTell(reason) => self.cannot_tell(job, ready, &attempt, &reason).await,
            Found::Later(error) => {
                let since = gap::asked_from(&attempt)
                    .map_or(attempt.deadline_at, |from| from.max(attempt.deadline_at));
                if now.since(since) > self.config.reconcile_window {
                    let reason =
                        format!("the network could not be asked in time: {}", error.message);
                    return self.cannot_tell(job, ready, &attempt, &reason).await;
                }
                let at = now.plus(
                    error
                        .retry_after
                        .unwrap_or(ASK_AGAIN)
                        .max(ASK_AGAIN.min(self.config.absent_gap)),
                );
                self.ask_later(job, at, &error.message).await
            }
        }
    }

    async fn cannot_tell(
        &self,
        job: &Job,
        ready: Ready,
        attempt: &Attempt,
        reason: &str,
    ) -> Result<(), StoreError> {
        let settle = self.settle_of(&ready.work.account.network);
        let because = |by| Because::of(Cause::CannotTell, by, Some(attempt)).settled_within(settle);
        self.to_review(job, ready.row, because, reason).await
    }

    /// Microseconds during which absence says nothing, because the clock was set.
    ///
    /// The deadline of a call and the settle window were reckoned by a clock that was wrong then or is
    /// wrong now; by one that nobody sets, both are over after this.
    fn clock_doubt(&self, settle: i64) -> Option<i64> {
        let passed = self.ids.since_clock_was_set()?;
        let left = self.config.call_timeout + settle - passed;
        (left > 0).then_some(left)
    }

    async fn ask_later(&self, job: &Job, at: Timestamp, reason: &str) -> Result<(), StoreError> {
        let mut tx = self.store.begin().await?;
        jobs::put_off(&mut tx, job, at, Some(reason)).await?;
        failpoint::hit("ask_later.commit");
        tx.commit().await?;
        self.jobs_changed.ring();
        Ok(())
    }

    async fn seen_absent(
        &self,
        job: &Job,
        mut ready: Ready,
        attempt: Attempt,
        now: Timestamp,
        told_at: Timestamp,
    ) -> Result<(), StoreError> {
        let was = ready.row.publication.clone();
        let publication = &mut ready.row.publication;
        let settle = self.settle_of(&ready.work.account.network);
        let weighed = relation::absence(
            absent_since(&was),
            &Open::from(&attempt),
            now,
            self.config.absent_gap,
        );
        let tries = self.counted_tries(&mut self.store.clone(), &was).await?;
        let mut admissions = Vec::new();
        let mut tx = self.store.begin().await?;
        let by = fenced(&mut tx, job).await?;
        match weighed {
            Absence::Proved => {
                let first = absent_since(&was);
                let is_last = tries >= self.config.publish_tries && !gap::is_presumed(&attempt);
                publication.state = match is_last {
                    true => PublicationState::Failed,
                    false => PublicationState::RetryWait,
                };
                if is_last {
                    let problem = format!("{tries} tries, and the network has none of them");
                    publication.problem = Some(problem);
                }
                set_absent_since(publication, None);
                let note = "the network does not have it: seen twice";
                let because = Because::of(Cause::NotListedAgain, by, Some(&attempt))
                    .settled_within(settle)
                    .with_evidence(json!({"absent_first": first, "absent_again": now}));
                self.take_step(&mut tx, &was, publication, because, note, now)
                    .await?;
                if is_last {
                    jobs::finish(&mut tx, job).await?;
                    admissions = self.after_settled(&mut tx, &[&*publication], now).await?;
                } else {
                    jobs::put_off(&mut tx, job, now, Some(note)).await?;
                }
            }
            Absence::First | Absence::TooSoon(_) => {
                let first = match weighed {
                    Absence::TooSoon(first) => first,
                    _ => told_at,
                };
                set_absent_since(publication, Some(first));
                let note = "the network does not list it; looks again";
                let because =
                    Because::of(Cause::NotListed, by, Some(&attempt)).settled_within(settle);
                self.take_step(&mut tx, &was, publication, because, note, now)
                    .await?;
                jobs::put_off(&mut tx, job, first.plus(self.config.absent_gap), Some(note)).await?;
            }
        }
        failpoint::hit("absent.commit");
        tx.commit().await?;
        self.hand_over_all(admissions);
        self.jobs_changed.ring();
        Ok(())
    }
}
