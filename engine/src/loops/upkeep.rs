//! Upkeep: leases renewed and rescued, rules reloaded, left-over events tried,
//! old history pruned. tokio-cron-scheduler wakes the slow part; what is due
//! is read from rows every time.

use std::time::Duration;

use so_model::time::SECOND;
use so_store::{StoreError, events, jobs, rule_keys, run_ways, runs};
use tokio_util::sync::CancellationToken;

use super::{LoopName, astray::Astray, thin};
use crate::engine::Engine;

/// Leases are renewed and rules are looked at this often.
const TICK: Duration = Duration::from_secs(1);
/// Leases are renewed and rescued at least every so many ticks.
const RENEW_EVERY_MAX: i64 = 20;
/// An event younger than this may still be in its own transaction's hands.
const UNDECIDED_AGE: i64 = 5 * SECOND;
/// Left-over events tried in one transaction.
const UNDECIDED_BATCH: i64 = 100;
/// Leases prolonged in one transaction.
const RENEW_BATCH: usize = 200;
/// Rows removed in one transaction, so that nobody waits long for the writer.
const PRUNE_BATCH: i64 = 500;

/// What was removed with its time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Ordinary runs, before all others.
    pub let_go: u64,
    /// None of these is left; one turn looks at so many only.
    pub is_whole: bool,
    /// Runs beyond the retention.
    pub runs: u64,
    /// Events beyond the retention.
    pub events: u64,
    /// Keys of rules that ended.
    pub keys: u64,
}

pub(super) async fn run(engine: Engine, stop: CancellationToken) {
    let mut ticks: u64 = 0;
    let mut astray = Astray::default();
    loop {
        let turn = async {
            engine.upkeep(ticks).await?;
            astray.look(&engine).await
        };
        match turn.await {
            Ok(()) => engine.pulse.beat(LoopName::Upkeep, engine.now()),
            Err(error) => tracing::warn!(%error, "upkeep did not come to its end"),
        }
        ticks += 1;
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(TICK) => {}
        }
    }
}

impl Engine {
    /// Called once before the loops: a former life's leases and spilled outcomes.
    pub async fn recover(&self) -> Result<(), StoreError> {
        // Rules first: an outcome from the spill file admits events, and events start what they start only once.
        self.reload_rules().await?;
        self.reload_gaps().await?;
        let replayed = crate::publish::replay_spill(self).await?;
        if replayed > 0 {
            tracing::info!(replayed, "outcomes from the spill file were stored");
        }
        if self.config.is_alone {
            let mut tx = self.store.begin().await?;
            let freed = jobs::rescue_all(&mut tx).await?;
            crate::failpoint::hit("recover.commit");
            tx.commit().await?;
            if freed > 0 {
                tracing::info!(freed, "jobs of the process before this one go on");
            }
        }
        Ok(())
    }

    /// One turn of the upkeep loop; leases are seen to in turn 0 and every so many after it.
    pub async fn upkeep(&self, ticks: u64) -> Result<(), StoreError> {
        let now = self.now();
        // Three renewals within a lease: two may be missed.
        let renew_every = (self.config.lease / (3 * SECOND))
            .clamp(1, RENEW_EVERY_MAX)
            .unsigned_abs();
        if ticks.is_multiple_of(renew_every) {
            self.renew_leases(now).await?;
            self.decide_left_over().await?;
            self.note_unknown().await?;
        }
        self.reload_rules().await?;
        self.reload_gaps().await?;
        // The database was away and is back: what the networks confirmed is stored.
        crate::publish::replay_spill(self).await?;
        self.put_owed_back().await
    }

    /// Prolongs the leases of what is being worked on here; frees what nobody works on.
    ///
    /// A claim whose worker was lost, by a panic or a caller that went away, is not prolonged.
    pub(crate) async fn renew_leases(&self, now: so_model::Timestamp) -> Result<(), StoreError> {
        let until = now.plus(self.config.lease);
        for batch in self.held_jobs().chunks(RENEW_BATCH) {
            let mut tx = self.store.begin().await?;
            jobs::extend_many(&mut tx, batch, until).await?;
            crate::failpoint::hit("lease.renew.commit");
            tx.commit().await?;
        }
        let mut tx = self.store.begin().await?;
        if jobs::rescue(&mut tx, now).await? > 0 {
            self.jobs_changed.ring();
        }
        crate::failpoint::hit("lease.rescue.commit");
        tx.commit().await
    }

    /// Tries rules on events that were stored without.
    pub async fn decide_left_over(&self) -> Result<usize, StoreError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        let left =
            events::claim_undecided(&mut tx, now.plus(-UNDECIDED_AGE), UNDECIDED_BATCH).await?;
        if left.is_empty() {
            tx.rollback().await?;
            return Ok(0);
        }
        let mut handed = Vec::new();
        let mut decided = 0;
        for event in left.into_iter().map(std::sync::Arc::new) {
            handed.extend(self.decide_all(&mut tx, &event, now).await?);
            events::mark_decided(&mut tx, event.id).await?;
            decided += 1;
        }
        crate::failpoint::hit("left_over.commit");
        tx.commit().await?;
        self.hand_over(handed);
        Ok(decided)
    }

    /// Lets ordinary runs go, then removes what is older than the retention, a batch at a time.
    pub async fn prune(&self) -> Result<Pruned, StoreError> {
        let now = self.now();
        let before = now.plus(-self.config.retention);
        let (let_go, is_whole) = self.thin().await?;
        let mut removed = Pruned {
            let_go,
            is_whole,
            ..Pruned::default()
        };
        let mut mark = None;
        loop {
            let mut tx = self.store.begin().await?;
            let runs = runs::prune(&mut tx, before, PRUNE_BATCH).await?;
            let mut is_end = runs < PRUNE_BATCH as u64;
            let mut events = 0;
            // No event is passed by that a run names which is about to go.
            if is_end {
                (events, mark) = events::prune(&mut tx, before, mark, PRUNE_BATCH).await?;
                is_end = mark.is_none();
            }
            let keys = rule_keys::prune(&mut tx, now).await?;
            let counted = thin::COUNTED.max(self.config.retention);
            run_ways::prune(&mut tx, now.plus(-counted), PRUNE_BATCH).await?;
            crate::failpoint::hit("prune.commit");
            tx.commit().await?;
            removed.runs += runs;
            removed.events += events;
            removed.keys += keys;
            if is_end {
                return Ok(removed);
            }
        }
    }

    /// For tests and the command line: works until nothing is due any more.
    ///
    /// Answers how many jobs were carried out; stops after a bound of rounds.
    pub async fn run_until_idle(
        &self,
        receiver: &mut crate::engine::HandedReceiver,
    ) -> Result<usize, StoreError> {
        let mut done = 0;
        for _ in 0..10_000 {
            let mut moved = self.fire_timers().await? > 0;
            while let Some(handed) = receiver.try_recv() {
                self.carry_out(handed).await;
                done += 1;
                moved = true;
            }
            let claimed = self.claim_jobs(64).await?;
            for handed in self.read_ahead(claimed).await {
                self.carry_out(handed).await;
                done += 1;
                moved = true;
            }
            if !moved {
                break;
            }
        }
        Ok(done)
    }
}
