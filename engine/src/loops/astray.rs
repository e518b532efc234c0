//! Claims that went astray: this process's own by the row, and in nobody's hands.
//!
//! Owns the search for them after PostgreSQL was away. A claim whose commit took effect while its answer was
//! lost would else wait for the end of its lease. Invariant: only what was nobody's at two looks apart is
//! freed, and by its epoch; a worker that began after all changes nothing and calls nobody.

use std::collections::HashSet;

use so_model::id::JobId;
use so_store::{StoreError, jobs};

use crate::engine::{Engine, Handed};

/// Turns without a new failure before the rows are believed; between first and last lie two looks.
const QUIET_TURNS: u32 = 3;
/// Claims looked at after one failure; the leases of further ones free them.
const OWN_MAX: i64 = 10_000;

/// What was seen at the look before.
#[derive(Default)]
pub(super) struct Astray {
    failures: u64,
    turns_left: u32,
    suspects: HashSet<(JobId, i64)>,
}

impl Astray {
    /// One turn: costs nothing unless the database failed a few turns ago.
    pub(super) async fn look(&mut self, engine: &Engine) -> Result<(), StoreError> {
        let failures = engine.store.failures();
        if failures != self.failures {
            self.failures = failures;
            self.turns_left = QUIET_TURNS;
            return Ok(());
        }
        if self.turns_left == 0 {
            return Ok(());
        }
        let unheld = unheld(engine).await?;
        self.turns_left -= 1;
        if self.turns_left == QUIET_TURNS - 1 {
            self.suspects = unheld.iter().map(|job| (job.id, job.epoch)).collect();
            return Ok(());
        }
        if self.turns_left > 0 {
            return Ok(());
        }
        let mut freed = 0;
        for job in unheld {
            if self.suspects.contains(&(job.id, job.epoch)) {
                engine.release(&Handed::of(job)).await;
                freed += 1;
            }
        }
        self.suspects.clear();
        if freed > 0 {
            tracing::info!(freed, "jobs claimed while the database failed go on");
            engine.jobs_changed.ring();
        }
        Ok(())
    }
}

async fn unheld(engine: &Engine) -> Result<Vec<jobs::Job>, StoreError> {
    let mut reader = engine.store.clone();
    let own = jobs::list_owned(&mut reader, &engine.config.owner, OWN_MAX).await?;
    let held: HashSet<(JobId, i64)> = engine
        .held_jobs()
        .iter()
        .map(|job| (job.id, job.epoch))
        .collect();
    Ok(own
        .into_iter()
        .filter(|job| !held.contains(&(job.id, job.epoch)))
        .collect())
}
