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
use so_store::{
    StoreError, Tx, attempts,
    attempts::Closed,
    jobs,
    jobs::Job,
    publications::{self, Move},
};

use super::relation::{self, By, Cause, Change, Ground, Intent, Open, Refusal, Spans};
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

/// A step of one publication, from what was read to `next`, whose epoch is set when it is taken.
pub(super) struct Step<'a> {
    pub(super) was: &'a Publication,
    pub(super) next: &'a mut Publication,
    pub(super) because: Because<'a>,
    pub(super) note: &'a str,
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
        let step = Step {
            was,
            next,
            because,
            note,
        };
        let mut taken = self.take_steps(tx, &mut [step], now).await?;
        taken.pop().unwrap_or(Ok(()))
    }

    /// Takes steps of several publications, each once. One that is not allowed, or whose publication is not where it
    /// was, is not taken, which is answered in its place; any other error is everybody's.
    pub(super) async fn take_steps(
        &self,
        tx: &mut Tx,
        steps: &mut [Step<'_>],
        now: Timestamp,
    ) -> Result<Vec<Result<(), StoreError>>, StoreError> {
        let mut intents = Vec::with_capacity(steps.len());
        for step in steps.iter_mut() {
            intents.push(match self.allowed(step, now) {
                Ok(change) => {
                    step.next.epoch = change.epoch;
                    Ok(change.intent)
                }
                Err(refusal) => Err(self.refused(step.was, refusal)),
            });
        }
        let steps = &*steps;
        let moves: Vec<Move<'_>> = steps
            .iter()
            .zip(&intents)
            .filter(|(_, intent)| intent.is_ok())
            .map(|(step, _)| Move {
                publication: step.next,
                from: step.was.state,
                epoch: step.was.epoch,
                note: step.note,
            })
            .collect();
        let moved = publications::transition_many(tx, &moves, now).await?;
        let (mut opened, mut closed) = (Vec::new(), Vec::new());
        let mut taken = Vec::with_capacity(steps.len());
        for (step, intent) in steps.iter().zip(intents) {
            taken.push(match intent {
                Err(error) => Err(error),
                Ok(_) if !moved.contains(&step.next.id) => Err(StoreError::Stale {
                    what: "publication",
                }),
                Ok(intent) => {
                    match (intent, step.because.attempt) {
                        (Intent::Opens, Some(attempt)) => opened.push(attempt),
                        (Intent::Closes(phase) | Intent::ClosesAny(phase), Some(attempt)) => {
                            closed.push(Closed {
                                workspace: attempt.workspace,
                                id: attempt.id,
                                phase,
                                evidence: &step.because.evidence,
                            });
                        }
                        _ => {}
                    }
                    Ok(())
                }
            });
        }
        attempts::insert_open(tx, &opened).await?;
        attempts::close(tx, &closed).await?;
        Ok(taken)
    }

    fn allowed(&self, step: &Step<'_>, now: Timestamp) -> Result<Change, Refusal> {
        let (was, because) = (step.was, &step.because);
        let attempt = because.attempt.map(Open::from);
        let asked = relation::Step {
            cause: because.cause,
            from: was.state,
            to: step.next.state,
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
        relation::allow(relation::rules(), &asked, &ground)
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
