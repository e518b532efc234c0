//! What became of an attempt whose outcome is unknown.
//!
//! Invariant: "not listed yet" is not "not published". Absence counts only
//! after the settle window, seen twice, some time apart, in a complete list.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    publication::{Attempt, AttemptPhase, PublicationState},
    time::MINUTE,
};
use so_store::{StoreError, attempts, jobs, jobs::Job, publications};

use super::{port::Found, work::Ready};
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
            return self
                .to_review(job, ready, "the attempt in doubt is gone")
                .await;
        };
        let settled_at = self.settled_at(&ready.work.account.network, &attempt);
        if now < settled_at {
            return self
                .ask_later(job, settled_at, "waits until the network has settled")
                .await;
        }
        if ready.row.publication.state != PublicationState::Reconciling {
            self.step_to(
                job,
                &mut ready,
                PublicationState::Reconciling,
                "asks the network",
            )
            .await?;
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
                let confirmed = self
                    .confirm(job, &ready.row, &attempt, &remote_id, remote_url, extra)
                    .await;
                match confirmed {
                    Err(StoreError::Conflict { .. }) => self.bound_elsewhere(job, ready).await,
                    other => other,
                }
            }
            Found::Absent => self.seen_absent(job, ready, attempt, now).await,
            Found::Several(ids) => {
                let reason = format!("{} posts at the network look like this one", ids.len());
                self.to_review(job, ready, &reason).await
            }
            Found::CannotTell(reason) => self.to_review(job, ready, &reason).await,
            Found::Later(error) => {
                if now.since(attempt.deadline_at) > self.config.reconcile_window {
                    let reason =
                        format!("the network could not be asked in time: {}", error.message);
                    return self.to_review(job, ready, &reason).await;
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
    ) -> Result<(), StoreError> {
        let publication = &mut ready.row.publication;
        if !publication.progress.is_object() {
            publication.progress = json!({});
        }
        let first = publication.progress["absent_since"]
            .as_str()
            .and_then(Timestamp::parse)
            .filter(|first| *first >= attempt.intent_at);
        let epoch = publication.epoch;
        let mut admissions = Vec::new();
        let mut tx = self.store.begin().await?;
        jobs::fence(&mut tx, job).await?;
        match first {
            Some(first) if now.since(first) >= self.config.absent_gap => {
                publication.progress["absent_since"] = Value::Null;
                let is_last = publication.attempts >= self.config.publish_tries;
                publication.state = match is_last {
                    true => PublicationState::Failed,
                    false => PublicationState::RetryWait,
                };
                if is_last {
                    let problem = format!(
                        "{} tries, and the network has none of them",
                        publication.attempts
                    );
                    publication.problem = Some(problem);
                }
                let note = "the network does not have it: seen twice";
                publications::transition(
                    &mut tx,
                    publication,
                    PublicationState::Reconciling,
                    epoch,
                    note,
                    now,
                )
                .await?;
                let evidence = json!({"absent_first": first, "absent_again": now});
                attempts::close(
                    &mut tx,
                    attempt.workspace,
                    attempt.id,
                    AttemptPhase::Absent,
                    &evidence,
                )
                .await?;
                if is_last {
                    jobs::finish(&mut tx, job).await?;
                    admissions = self.after_settled(&mut tx, publication, now).await?;
                } else {
                    jobs::put_off(&mut tx, job, now, Some(note)).await?;
                }
            }
            first => {
                let first = first.unwrap_or(now);
                publication.progress["absent_since"] = json!(first);
                let note = "the network does not list it; looks again";
                publications::transition(
                    &mut tx,
                    publication,
                    PublicationState::Reconciling,
                    epoch,
                    note,
                    now,
                )
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
