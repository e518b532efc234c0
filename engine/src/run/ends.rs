//! Runs that end with a call, many at a time.
//!
//! Owns the usual end: the last step's call succeeded, made no events, and
//! nobody waits for the run. Invariant: job, memo and run are settled in one
//! transaction under the job's claim; whatever is not usual is left alone and
//! settled by itself.

use so_model::{
    id::{RunId, WorkspaceId},
    run::Memo,
};
use so_store::{StoreError, jobs, jobs::Job, runs};

use crate::{
    batch::{Batcher, Piece},
    engine::Engine,
    failpoint,
};

/// Ends of one transaction at the most.
const ENDS_MAX: usize = 64;

/// A run's last step.
#[derive(Clone)]
pub(super) struct End {
    pub(super) job: Job,
    pub(super) workspace: WorkspaceId,
    pub(super) run: RunId,
    pub(super) memo: Memo,
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
        let settled = self.settle_all(&ends).await.unwrap_or_else(|error| {
            tracing::info!(%error, ends = ends.len(), "ends of runs are settled one by one");
            vec![false; ends.len()]
        });
        for (answer, settled) in answers.into_iter().zip(settled) {
            answer(settled);
        }
    }

    async fn settle_all(&self, ends: &[End]) -> Result<Vec<bool>, StoreError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let jobs: Vec<&Job> = ends.iter().map(|end| &end.job).collect();
        let finished = jobs::finish_many(&mut tx, &jobs).await?;
        let is_finished = |end: &&End| finished.contains(&end.job.id);
        let memos: Vec<_> = ends
            .iter()
            .filter(is_finished)
            .map(|end| (end.workspace, end.run, &end.memo))
            .collect();
        runs::put_memos(&mut tx, &memos).await?;
        let over: Vec<RunId> = memos.iter().map(|(_, run, _)| *run).collect();
        runs::finish_many(&mut tx, &over, now).await?;
        failpoint::hit("run.end.commit");
        tx.commit().await?;
        Ok(ends.iter().map(|end| is_finished(&end)).collect())
    }
}
