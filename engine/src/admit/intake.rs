//! Events that come by themselves, many at a time.
//!
//! Owns the gathering of deliveries. Invariant: an answer means that the event
//! is on disk; deliveries that arrive while a commit is under way share the
//! next one. If a shared transaction fails, each delivery is tried by itself,
//! so that nobody pays for another's.

use std::sync::Arc;

use async_trait::async_trait;
use so_model::event::NewEvent;
use so_store::{StoreError, Tx};

use super::Admitted;
use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
};

/// Deliveries of one transaction at the most; bounds how long the first of them waits.
const DELIVERIES_MAX: usize = 64;

/// Something stored along with a new event.
#[async_trait]
pub trait Along: Send + Sync {
    /// Of several in one transaction with the same key, the last is stored.
    fn key(&self) -> String;
    /// Stores it.
    async fn store(&self, tx: &mut Tx) -> Result<(), StoreError>;
}

type Delivery = (NewEvent, Option<Arc<dyn Along>>);
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

    /// As `ingest`; what comes along is stored if the event is new.
    pub async fn ingest_along(
        &self,
        event: NewEvent,
        along: Arc<dyn Along>,
    ) -> Result<Admitted, StoreError> {
        self.deliver(event, Some(along)).await
    }

    async fn deliver(&self, event: NewEvent, along: Option<Arc<dyn Along>>) -> Answer {
        let answer = self
            .intake
            .0
            .submit((event, along), |pieces| {
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
        let (events, along): (Vec<_>, Vec<_>) = deliveries.into_iter().unzip();
        let mut tx = self.store.begin().await?;
        let admissions = self.admit_all(&mut tx, events).await?;
        let new = admissions.iter().map(|admission| admission.result.is_new);
        let mut kept: Vec<Arc<dyn Along>> = Vec::new();
        for (along, _) in along.into_iter().zip(new).filter(|(_, is_new)| *is_new) {
            let Some(along) = along else { continue };
            kept.retain(|other| other.key() != along.key());
            kept.push(along);
        }
        for along in kept {
            along.store(&mut tx).await?;
        }
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
