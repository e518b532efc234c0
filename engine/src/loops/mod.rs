//! The loops that keep things going: work, timers, rescue, upkeep.
//!
//! Owns when things are looked at; what is done lies elsewhere. Invariant: a
//! loop that stops is noticed by `Pulse`, and any loop may be late by any time
//! without harm, because what is due is computed from rows.

mod astray;
mod claim;
mod pulse;
mod silence;
mod thin;
mod timers;
mod upkeep;
mod work;

#[cfg(test)]
mod silence_tests;
#[cfg(test)]
mod thin_tests;
#[cfg(test)]
mod timers_tests;

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use pulse::{Counters, LoopName, Pulse};
pub use silence::{TIMER_SILENCE, silent_after};
pub use timers::{TIMER_POST, TIMER_QUEUE, TIMER_RECURRENCE, TIMER_RULE, sync_rule_timers};
pub use upkeep::Pruned;

use crate::engine::{Engine, Handed, HandedReceiver};

/// Running loops.
pub struct Loops {
    tracker: TaskTracker,
    stop: CancellationToken,
    handles: Vec<JoinHandle<()>>,
}

/// Starts every loop.
pub async fn start(
    engine: Engine,
    receiver: HandedReceiver,
) -> Result<Loops, so_store::StoreError> {
    engine.recover().await?;
    let tracker = TaskTracker::new();
    let stop = CancellationToken::new();
    let handles = vec![
        tracker.spawn(work::run(
            engine.clone(),
            receiver,
            tracker.clone(),
            stop.clone(),
        )),
        tracker.spawn(timers::run(engine.clone(), stop.clone())),
        tracker.spawn(upkeep::run(engine.clone(), stop.clone())),
        tracker.spawn(crate::shadow::run(engine.clone(), stop.clone())),
    ];
    Ok(Loops {
        tracker,
        stop,
        handles,
    })
}

/// The next job handed over in memory, for whoever drives an engine turn by turn.
pub fn next_handed(_: &Engine, receiver: &mut HandedReceiver) -> Option<Handed> {
    receiver.try_recv()
}

impl Loops {
    /// Takes no new work and waits until what is under way has ended, for at most `limit`.
    ///
    /// False when something was still under way; its lease frees it later.
    pub async fn drain(self, limit: std::time::Duration) -> bool {
        self.stop.cancel();
        self.tracker.close();
        let drained = tokio::time::timeout(limit, self.tracker.wait())
            .await
            .is_ok();
        if !drained {
            for handle in &self.handles {
                handle.abort();
            }
        }
        drained
    }
    /// Spawned work belongs to this tracker.
    pub fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }
    /// Cancelled when the server stops.
    pub fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }
}
