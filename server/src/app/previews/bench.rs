//! Where work is done that takes the processor for a while.
//!
//! Owns how much of it goes on at a time. Invariant: whoever tries scripts as fast as they can waits for
//! themselves and others who do; requests that only read and write are not held up.

use tokio::sync::Semaphore;

use crate::app::failure::{Failure, Outcome};

/// Works at a time: enough for several people who type, few enough to leave processors for the engine.
const AT_ONCE: usize = 4;

/// A bench with few places.
#[derive(Debug)]
pub struct Bench(Semaphore);

impl Default for Bench {
    fn default() -> Self {
        Self(Semaphore::new(AT_ONCE))
    }
}

impl Bench {
    /// Does the work as soon as there is a place, off the threads that serve requests.
    pub async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Outcome<T> {
        let _place = self.0.acquire().await.map_err(|_| Failure::internal())?;
        tokio::task::spawn_blocking(work).await.map_err(|error| {
            tracing::error!(%error, "work at the bench did not come to its end");
            Failure::internal()
        })
    }
}
