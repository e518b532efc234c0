//! Good ticks of each loop, for readiness, and counters for metrics.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use so_model::Timestamp;

/// The loops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoopName {
    /// Claims and carries out jobs.
    Work,
    /// Fires timers.
    Timers,
    /// Rescues, reloads, prunes.
    Upkeep,
}

/// When each loop last did what it is for.
#[derive(Debug, Default)]
pub struct Pulse {
    work: AtomicI64,
    timers: AtomicI64,
    upkeep: AtomicI64,
}

impl Pulse {
    fn cell(&self, name: LoopName) -> &AtomicI64 {
        match name {
            LoopName::Work => &self.work,
            LoopName::Timers => &self.timers,
            LoopName::Upkeep => &self.upkeep,
        }
    }
    /// Notes a good tick.
    pub fn beat(&self, name: LoopName, now: Timestamp) {
        self.cell(name).store(now.micros(), Ordering::Relaxed);
    }
    /// Microseconds since each loop's last good tick; none before its first.
    pub fn ages(&self, now: Timestamp) -> Vec<(&'static str, Option<i64>)> {
        [
            ("work", LoopName::Work),
            ("timers", LoopName::Timers),
            ("upkeep", LoopName::Upkeep),
        ]
        .into_iter()
        .map(|(text, name)| {
            let last = self.cell(name).load(Ordering::Relaxed);
            (text, (last != 0).then(|| now.micros() - last))
        })
        .collect()
    }
}

/// What happened since the start.
#[derive(Debug, Default)]
pub struct Counters {
    /// Events stored.
    pub events: AtomicU64,
    /// Runs started.
    pub runs: AtomicU64,
    /// Matching rules that started no run.
    pub refused: AtomicU64,
    /// Runs that failed.
    pub failed: AtomicU64,
    /// Jobs carried out.
    pub jobs: AtomicU64,
    /// Jobs that ended in an error of the database.
    pub job_errors: AtomicU64,
    /// Steps of publications that the protocol does not allow; anything but zero is an error of ours.
    pub refused_steps: AtomicU64,
    /// Timers fired.
    pub timers: AtomicU64,
}
