//! Events that come by themselves, many at a time.
//!
//! Owns the gathering of deliveries. Invariant: an answer means that the event
//! is on disk; deliveries that arrive while a commit is under way share the
//! next one. If a shared transaction fails, each delivery is tried by itself,
//! so that nobody pays for another's.

use so_model::event::NewEvent;
use so_store::StoreError;

use super::Admitted;
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
};

/// Deliveries of one transaction at the most; bounds how long the first of them waits.
const DELIVERIES_MAX: usize = 64;

type Answer = Result<Admitted, StoreError>;

/// Gathers deliveries.
pub struct Intake(Batcher<NewEvent, Answer>);

impl Intake {
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self(Batcher::new(DELIVERIES_MAX, lines).apart(is_apart))
    }
}

impl Engine {
    /// Stores one event and starts what it starts; the answer means that it is on disk.
    pub async fn ingest(&self, event: NewEvent) -> Result<Admitted, StoreError> {
        let answer = self
            .intake
            .0
            .submit(event, |pieces| {
                let engine = self.clone();
                async move { engine.take_in(pieces).await }
            })
            .await;
        answer.unwrap_or(Err(StoreError::Stale {
            what: "delivery; send it again",
        }))
    }

    async fn take_in(&self, pieces: Vec<Piece<NewEvent, Answer>>) {
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

    async fn take_in_all(&self, deliveries: Vec<NewEvent>) -> Result<Vec<Admitted>, StoreError> {
        let mut tx = self.store.begin().await?;
        let admissions = self.admit_all(&mut tx, deliveries).await?;
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
