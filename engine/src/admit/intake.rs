//! Events that come by themselves, many at a time.
//!
//! Owns the gathering of deliveries. Invariant: an answer means that the event
//! is on disk; deliveries that arrive while a commit is under way share the
//! next one. If a shared transaction fails, each delivery is tried by itself,
//! so that nobody pays for another's.

use std::sync::Arc;

use so_model::{
    Timestamp,
    event::{Event, NewEvent},
};
use so_store::StoreError;

use super::{Admitted, Coming};
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
};

/// Deliveries of one transaction at the most; bounds how long the first of them waits.
const DELIVERIES_MAX: usize = 64;

type Answer = Result<Admitted, StoreError>;

/// Gathers deliveries.
pub struct Intake(Batcher<Coming, Answer>);

impl Intake {
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self(Batcher::new(DELIVERIES_MAX, lines).apart(is_apart))
    }
}

impl Engine {
    /// Stores one event and starts what it starts; the answer means that it is on disk.
    pub async fn ingest(&self, event: NewEvent) -> Result<Admitted, StoreError> {
        // As much as can be done beside the others: in the transaction they wait for each other.
        let mut coming = self.coming(event)?;
        self.foresee(&mut coming).await?;
        let answer = self
            .intake
            .0
            .submit(coming, |pieces| {
                let engine = self.clone();
                async move { engine.take_in(pieces).await }
            })
            .await;
        answer.unwrap_or(Err(StoreError::Stale {
            what: "delivery; send it again",
        }))
    }

    async fn take_in(&self, pieces: Vec<Piece<Coming, Answer>>) {
        let (deliveries, mut answers): (Vec<_>, Vec<_>) =
            pieces.into_iter().map(Piece::split).unzip();
        let events = deliveries.iter().map(|one| (one.event.clone(), one.now));
        let events: Vec<_> = events.collect();
        match self.take_in_all(deliveries).await {
            Ok(admitted) => {
                for (answer, admitted) in answers.into_iter().zip(admitted) {
                    answer(Ok(admitted));
                }
            }
            Err(error) if answers.len() == 1 => {
                if let Some(answer) = answers.pop() {
                    answer(Err(error));
                }
            }
            Err(_) => {
                for (answer, (event, now)) in answers.into_iter().zip(events) {
                    answer(self.take_in_alone(event, now).await);
                }
            }
        }
    }

    async fn take_in_alone(&self, event: Arc<Event>, now: Timestamp) -> Answer {
        let coming = self.coming_again(event, now)?;
        let mut admitted = self.take_in_all(vec![coming]).await?;
        admitted.pop().ok_or(StoreError::Stale { what: "event" })
    }

    async fn take_in_all(&self, deliveries: Vec<Coming>) -> Result<Vec<Admitted>, StoreError> {
        let mut tx = self.store.begin().await?;
        let admissions = self.admit_coming(&mut tx, deliveries).await?;
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
