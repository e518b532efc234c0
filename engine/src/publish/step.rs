//! Takes a step of the protocol within a transaction.
//!
//! Owns the only calls that change a publication's state or an attempt's phase.
//! Invariant: a step that the relation does not allow is refused and logged as
//! an error, in every build; the transaction that wanted it comes to nothing.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    publication::{Attempt, Publication},
};
use so_store::{StoreError, Tx, attempts, jobs, jobs::Job, publications};

use super::relation::{self, By, Cause, Ground, Intent, Open, Refusal, Spans, Step};
use crate::engine::Engine;

/// On what a step rests.
pub(super) struct Because<'a> {
    pub(super) cause: Cause,
    pub(super) by: By,
    /// The attempt that it opens or that is open.
    pub(super) attempt: Option<&'a Attempt>,
    /// What the attempt is closed with.
    pub(super) evidence: Value,
    /// The network's settle window, where the step asks for it.
    pub(super) settle: i64,
}

impl<'a> Because<'a> {
    pub(super) fn of(cause: Cause, by: By, attempt: Option<&'a Attempt>) -> Self {
        Self {
            cause,
            by,
            attempt,
            evidence: Value::Null,
            settle: 0,
        }
    }
    pub(super) fn with_evidence(mut self, evidence: Value) -> Self {
        self.evidence = evidence;
        self
    }
    pub(super) fn settled_within(mut self, settle: i64) -> Self {
        self.settle = settle;
        self
    }
}

/// P1: the claim of the job still holds; stale otherwise.
pub(super) async fn fenced(tx: &mut Tx, job: &Job) -> Result<By, StoreError> {
    jobs::fence(tx, job).await?;
    Ok(By::Worker(true))
}

impl Engine {
    /// Moves a publication from what was read to `next`, whose epoch is set here.
    pub(super) async fn take_step(
        &self,
        tx: &mut Tx,
        was: &Publication,
        next: &mut Publication,
        because: Because<'_>,
        note: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let attempt = because.attempt.map(Open::from);
        let step = Step {
            cause: because.cause,
            from: was.state,
            to: next.state,
            epoch: was.epoch,
            by: because.by,
            attempt,
        };
        let ground = Ground {
            state: was.state,
            epoch: was.epoch,
            open: attempt.filter(|_| !matches!(because.cause, Cause::Intended | Cause::Presumed)),
            now,
            // It is taken in the same transaction as the intent.
            lease_until: now.plus(self.config.lease),
            spans: Spans {
                lease_margin: relation::lease_margin(self.config.lease),
                settle: because.settle,
                absent_gap: self.config.absent_gap,
            },
            absent_since: absent_since(was),
        };
        let change = relation::allow(relation::rules(), &step, &ground)
            .map_err(|refusal| self.refused(was, refusal))?;
        next.epoch = change.epoch;
        publications::transition(tx, next, was.state, was.epoch, note, now).await?;
        match (change.intent, because.attempt) {
            (Intent::Opens, Some(attempt)) => attempts::insert_open(tx, attempt).await,
            (Intent::Closes(phase) | Intent::ClosesAny(phase), Some(attempt)) => {
                let (workspace, id) = (attempt.workspace, attempt.id);
                attempts::close(tx, workspace, id, phase, &because.evidence).await
            }
            _ => Ok(()),
        }
    }

    fn refused(&self, was: &Publication, refusal: Refusal) -> StoreError {
        self.counters.refused_steps.fetch_add(1, Ordering::Relaxed);
        tracing::error!(publication.id = %was.id, epoch = was.epoch, %refusal, "the publish protocol refuses a step");
        StoreError::NotAllowed(Box::new(refusal))
    }
}

/// When absence was seen first, as the row has it.
pub(super) fn absent_since(publication: &Publication) -> Option<Timestamp> {
    let text = publication.progress.get("absent_since")?.as_str()?;
    Timestamp::parse(text)
}

/// Notes when absence was seen first, or forgets it.
pub(super) fn set_absent_since(publication: &mut Publication, since: Option<Timestamp>) {
    if !publication.progress.is_object() {
        publication.progress = json!({});
    }
    publication.progress["absent_since"] = json!(since);
}
