//! Small pieces of work that share one transaction.
//!
//! Owns who does a batch. Invariant: whoever comes while a batch is under way
//! waits in line, and the next batch takes everybody who waits: nobody waits
//! for a timer, and under load a batch grows by itself.
//!
//! A batch runs in a task of its own: the one who began it may be cancelled
//! without harm to the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use tokio::sync::{Semaphore, oneshot};

use crate::engine::lock;

/// One piece and where its answer goes.
pub struct Piece<T, R> {
    work: T,
    answer: oneshot::Sender<R>,
}

impl<T, R> Piece<T, R> {
    /// The work.
    pub fn work(&self) -> &T {
        &self.work
    }
    /// The work, and the way to answer.
    pub fn split(self) -> (T, impl FnOnce(R)) {
        let sender = self.answer;
        (self.work, move |result| {
            let _ = sender.send(result);
        })
    }
}

/// Gathers pieces of one kind.
pub struct Batcher<T, R> {
    waiting: Mutex<VecDeque<Piece<T, R>>>,
    turns: Arc<Semaphore>,
    max: usize,
    is_apart: bool,
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Batches of at most `max`, `lines` of them side by side.
    pub fn new(max: usize, lines: usize) -> Self {
        Self {
            waiting: Mutex::default(),
            turns: Arc::new(Semaphore::new(lines)),
            max,
            is_apart: false,
        }
    }

    /// Each piece by itself and in its caller's task: a simulation moves one task at a time.
    pub fn apart(mut self, is_apart: bool) -> Self {
        self.is_apart = is_apart;
        self
    }

    /// Has `work` done in the next batch; none if the batch was lost to a panic.
    pub async fn submit<F>(&self, work: T, carry_out: impl Fn(Vec<Piece<T, R>>) -> F) -> Option<R>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, mut answer) = oneshot::channel();
        let piece = Piece {
            work,
            answer: sender,
        };
        if self.is_apart {
            Box::pin(carry_out(vec![piece])).await;
            return answer.await.ok();
        }
        lock(&self.waiting).push_back(piece);
        loop {
            let turn = tokio::select! {
                biased;
                answer = &mut answer => return answer.ok(),
                turn = self.turns.clone().acquire_owned() => turn.ok()?,
            };
            let pieces: Vec<Piece<T, R>> = {
                let mut waiting = lock(&self.waiting);
                let count = waiting.len().min(self.max);
                waiting.drain(..count).collect()
            };
            if pieces.is_empty() {
                // Another's batch has the own piece.
                drop(turn);
                return answer.await.ok();
            }
            // In a box: everybody who waits for an answer would have room for a batch of its own.
            let batch = Box::pin(carry_out(pieces));
            tokio::spawn(async move {
                batch.await;
                drop(turn);
            });
            // Again, because those in front who were cancelled may have filled this batch.
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    type Doubling = Batcher<u32, (u32, usize)>;

    // Answers each number doubled, with the size of its batch.
    async fn double(pieces: Vec<Piece<u32, (u32, usize)>>) {
        let size = pieces.len();
        for piece in pieces {
            let (number, answer) = piece.split();
            answer((number * 2, size));
        }
    }

    async fn ask(batcher: &Doubling, number: u32) -> Option<(u32, usize)> {
        batcher.submit(number, double).await
    }

    #[tokio::test]
    async fn one_alone_is_a_batch_of_one() {
        let batcher = Doubling::new(8, 1);
        assert_eq!(ask(&batcher, 21).await, Some((42, 1)));
    }

    #[tokio::test]
    async fn those_who_wait_for_a_turn_share_the_next_batch() {
        let batcher = Arc::new(Doubling::new(8, 1));
        let held = batcher.turns.clone().acquire_owned().await.unwrap();
        let asked: Vec<_> = (0..20)
            .map(|number| {
                let batcher = batcher.clone();
                tokio::spawn(async move { ask(&batcher, number).await })
            })
            .collect();
        while lock(&batcher.waiting).len() < 20 {
            tokio::task::yield_now().await;
        }
        drop(held);
        let mut sizes = Vec::new();
        for (number, answer) in (0..).zip(asked) {
            let (doubled, size) = answer.await.unwrap().unwrap();
            assert_eq!(doubled, number * 2);
            sizes.push(size);
        }
        assert_eq!(sizes[0], 8);
        assert!(sizes.iter().all(|size| *size <= 8));
    }

    #[tokio::test]
    async fn pieces_of_those_who_went_away_hold_nobody_up() {
        let batcher = Arc::new(Doubling::new(2, 1));
        let held = batcher.turns.clone().acquire_owned().await.unwrap();
        let gone: Vec<_> = (0..5)
            .map(|number| {
                let batcher = batcher.clone();
                tokio::spawn(async move { ask(&batcher, number).await })
            })
            .collect();
        while lock(&batcher.waiting).len() < 5 {
            tokio::task::yield_now().await;
        }
        gone.iter().for_each(tokio::task::JoinHandle::abort);
        let mine = {
            let batcher = batcher.clone();
            tokio::spawn(async move { ask(&batcher, 50).await })
        };
        drop(held);
        assert_eq!(mine.await.unwrap().map(|(doubled, _)| doubled), Some(100));
    }

    #[tokio::test]
    async fn a_batch_that_panics_is_told_to_its_own_and_the_next_goes_on() {
        let batcher = Doubling::new(8, 1);
        let lost = batcher
            .submit(1, |_| async { panic!("as a bug would") })
            .await;
        assert_eq!(lost, None);
        assert_eq!(ask(&batcher, 2).await, Some((4, 1)));
    }
}
