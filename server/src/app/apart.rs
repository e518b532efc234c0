//! Long work that somebody asked for, on a thread of its own.
//!
//! Owns how much of a kind goes on at a time and how long it may take. Invariant: a place is kept until the work has
//! ended, also when whoever asked has gone; so there is never more of it than there are places.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::failure::{Failure, Outcome};

/// How long somebody waits for a place.
const PATIENCE: Duration = Duration::from_secs(15);

/// Where one kind of work is done.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    /// Name of the threads.
    kind: &'static str,
    longest: Duration,
    patience: Duration,
}

/// A place for one piece of work.
#[derive(Debug)]
pub struct Place {
    _permit: OwnedSemaphorePermit,
    kind: &'static str,
    longest: Duration,
}

impl Places {
    /// So many places, each for work that may take so long.
    pub fn new(kind: &'static str, at_once: usize, longest: Duration) -> Self {
        let free = Arc::new(Semaphore::new(at_once));
        Self {
            free,
            kind,
            longest,
            patience: PATIENCE,
        }
    }

    /// Waits for a place; after a while an error with that code and title.
    pub async fn wait(&self, code: &str, busy: &str) -> Outcome<Place> {
        let waiting = self.free.clone().acquire_owned();
        match tokio::time::timeout(self.patience, waiting).await {
            Ok(permit) => Ok(Place {
                _permit: permit.map_err(|_| Failure::internal())?,
                kind: self.kind,
                longest: self.longest,
            }),
            Err(_) => Err(Failure::new(503, code, busy).next_step("Try again in a moment.")),
        }
    }
}

impl Place {
    /// Does the work; none if it took too long and was given up.
    pub async fn work<T, W>(self, work: impl FnOnce() -> W + Send + 'static) -> Outcome<Option<T>>
    where
        T: Send + 'static,
        W: Future<Output = T>,
    {
        let (kind, longest) = (self.kind, self.longest);
        let runtime = tokio::runtime::Handle::current();
        let (answer, answered) = oneshot::channel();
        let carry = move || {
            let done = runtime.block_on(async { tokio::time::timeout(longest, work()).await });
            // Whoever asked may have gone; the place is kept until here all the same.
            drop(self);
            let _ = answer.send(done.ok());
        };
        let begun = std::thread::Builder::new().name(kind.into()).spawn(carry);
        if let Err(error) = begun {
            tracing::error!(work.kind = kind, %error, "a thread could not be started");
            return Err(Failure::internal());
        }
        answered.await.map_err(|_| {
            tracing::error!(work.kind = kind, "long work did not come to its end");
            Failure::internal()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_place_is_kept_until_the_work_has_ended_also_if_nobody_waits_for_it() {
        let places = Places::new("test", 1, Duration::from_secs(60));
        let (go, wait) = oneshot::channel::<()>();
        let (begin, begun) = oneshot::channel::<()>();
        let place = places.wait("test.busy", "Busy").await.unwrap();
        let asked = tokio::spawn(place.work(move || async {
            let _ = begin.send(());
            let _ = wait.await;
        }));
        begun.await.unwrap();
        asked.abort();
        let _ = asked.await;
        assert_eq!(places.free.available_permits(), 0);
        let _ = go.send(());
        drop(places.free.acquire().await.unwrap());
    }

    #[tokio::test]
    async fn who_waits_too_long_for_a_place_is_told_so() {
        let mut places = Places::new("test", 1, Duration::from_secs(60));
        places.patience = Duration::ZERO;
        let _taken = places.wait("test.busy", "Busy").await.unwrap();
        let refused = places.wait("test.busy", "Busy").await.unwrap_err();
        assert_eq!(refused.problem.code, "test.busy");
    }

    #[tokio::test]
    async fn work_that_takes_too_long_is_given_up() {
        let places = Places::new("test", 1, Duration::ZERO);
        let place = places.wait("test.busy", "Busy").await.unwrap();
        let done: Option<()> = place.work(std::future::pending).await.unwrap();
        assert!(done.is_none());
        drop(places.wait("test.busy", "Busy").await.unwrap());
    }
}
