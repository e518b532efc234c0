//! Runs that end with a call, many at a time.
//!
//! Owns the usual end: the last step's call succeeded, made no events, and
//! nobody waits for the run. Invariant: job, memo and run are settled in one
//! transaction under the job's claim; whatever is not usual is left alone and
//! settled by itself.

use so_model::id::RunId;
use so_store::{
    StoreError, jobs,
    jobs::Job,
    runs::{self, MemoRow},
};

use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
    failpoint,
};

/// Ends of one transaction at the most.
const ENDS_MAX: usize = 64;

/// A run's last step.
pub(super) struct End {
    pub(super) job: Job,
    pub(super) run: RunId,
    /// Made beforehand: in the transaction others wait for it.
    pub(super) memo: MemoRow,
}

/// Gathers ends.
pub struct Ends(Batcher<End, bool>);

impl Ends {
    pub(crate) fn new(lines: usize, is_apart: bool) -> Self {
        Self(Batcher::new(ENDS_MAX, lines).apart(is_apart))
    }
}

impl Engine {
    /// Settles the end of a run; false when nothing was written and it must be settled by itself.
    pub(super) async fn settle_end(&self, end: End) -> bool {
        let settled = self.ends.0.submit(end, |pieces| {
            let engine = self.clone();
            async move { engine.settle_batch(pieces).await }
        });
        settled.await.unwrap_or(false)
    }

    async fn settle_batch(&self, pieces: Vec<Piece<End, bool>>) {
        let (ends, answers): (Vec<_>, Vec<_>) = pieces.into_iter().map(Piece::split).unzip();
        let count = ends.len();
        let settled = self.settle_all(ends).await.unwrap_or_else(|error| {
            tracing::info!(%error, ends = count, "ends of runs are settled one by one");
            vec![false; count]
        });
        for (answer, settled) in answers.into_iter().zip(settled) {
            answer(settled);
        }
    }

    async fn settle_all(&self, ends: Vec<End>) -> Result<Vec<bool>, StoreError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let jobs: Vec<&Job> = ends.iter().map(|end| &end.job).collect();
        let finished = jobs::finish_many(&mut tx, &jobs).await?;
        let settled = ends.iter().map(|end| finished.contains(&end.job.id));
        let settled: Vec<bool> = settled.collect();
        let (mut memos, mut over) = (
            Vec::with_capacity(ends.len()),
            Vec::with_capacity(ends.len()),
        );
        for (end, _) in ends
            .into_iter()
            .zip(&settled)
            .filter(|(_, settled)| **settled)
        {
            memos.push(end.memo);
            over.push(end.run);
        }
        runs::put_memo_rows(&mut tx, memos).await?;
        runs::finish_many(&mut tx, &over, now).await?;
        failpoint::hit("run.end.commit");
        tx.commit().await?;
        Ok(settled)
    }
}
