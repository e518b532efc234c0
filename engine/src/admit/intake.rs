//! Events that come by themselves, many at a time.
//!
//! Owns the gathering of deliveries. Invariant: an answer means that the event
//! is on disk; deliveries that arrive while a commit is under way share the
//! next one. If a shared transaction fails, each delivery is tried by itself,
//! so that nobody pays for another's.

use std::collections::BTreeMap;

use so_model::{event::NewEvent, id::HookId};
use so_store::{
    StoreError,
    hooks::{self, Sample},
};

use super::Admitted;
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
};

/// Deliveries of one transaction at the most; bounds how long the first of them waits.
const DELIVERIES_MAX: usize = 64;

/// An event, and the hook at which it came.
type Delivery = (NewEvent, Option<HookId>);
type Answer = Result<Admitted, StoreError>;

/// Gathers deliveries.
pub struct Intake(Batcher<Delivery, Answer>);

impl Intake {
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self(Batcher::new(DELIVERIES_MAX, lines).apart(is_apart))
    }
}

impl Engine {
    /// Stores one event and starts what it starts; the answer means that it is on disk.
    pub async fn ingest(&self, event: NewEvent) -> Result<Admitted, StoreError> {
        self.deliver(event, None).await
    }

    /// As `ingest`; a new event is kept as the hook's sample, to write rules by.
    pub async fn ingest_at_hook(
        &self,
        event: NewEvent,
        hook: HookId,
    ) -> Result<Admitted, StoreError> {
        self.deliver(event, Some(hook)).await
    }

    async fn deliver(&self, event: NewEvent, hook: Option<HookId>) -> Answer {
        let answer = self
            .intake
            .0
            .submit((event, hook), |pieces| {
                let engine = self.clone();
                async move { engine.take_in(pieces).await }
            })
            .await;
        answer.unwrap_or(Err(StoreError::Stale {
            what: "delivery; send it again",
        }))
    }

    async fn take_in(&self, pieces: Vec<Piece<Delivery, Answer>>) {
        let (deliveries, answers): (Vec<_>, Vec<_>) = pieces.into_iter().map(Piece::split).unzip();
        if deliveries.len() > 1
            && let Ok(admitted) = self.take_in_all(deliveries.clone()).await
        {
            for (answer, admitted) in answers.into_iter().zip(admitted) {
                answer(Ok(admitted));
            }
            return;
        }
        for (answer, delivery) in answers.into_iter().zip(deliveries) {
            let admitted = self.take_in_all(vec![delivery]).await;
            answer(
                admitted.and_then(|mut all| all.pop().ok_or(StoreError::Stale { what: "event" })),
            );
        }
    }

    async fn take_in_all(&self, deliveries: Vec<Delivery>) -> Result<Vec<Admitted>, StoreError> {
        let (events, hooks): (Vec<_>, Vec<_>) = deliveries.into_iter().unzip();
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let admissions = self.admit_all(&mut tx, events).await?;
        // Of several for one hook the last; in one order, so that two transactions do not wait for each other.
        let mut samples = BTreeMap::new();
        for (admission, hook) in admissions.iter().zip(hooks) {
            let admitted = &admission.result;
            if let Some(hook) = hook.filter(|_| admitted.is_new) {
                let sample = Sample {
                    workspace: admitted.event.workspace,
                    hook,
                    data: &admitted.event.data,
                };
                samples.insert(hook, sample);
            }
        }
        let samples: Vec<Sample<'_>> = samples.into_values().collect();
        hooks::save_samples(&mut tx, &samples, now).await?;
        crate::failpoint::hit("ingest.commit");
        tx.commit().await?;
        crate::failpoint::hit("K16");
        let results = admissions.iter().map(|one| one.result.clone()).collect();
        self.hand_over_jobs(admissions);
        if self.is_crowded() {
            // Runs for which there was no room were stored as rows that wait.
            self.jobs_changed.ring();
        }
        Ok(results)
    }
}
