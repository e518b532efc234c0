//! Bounds and spans of the engine. No rule can lift a bound.

use std::path::PathBuf;

use so_model::time::{DAY, HOUR, MINUTE, SECOND};

/// Longest chain of consequences.
pub const DEPTH_MAX: u32 = 16;
/// Most often one rule may stand in a chain.
pub const RULE_REPEATS_MAX: usize = 3;
/// Most events in one chain of consequences.
pub const CHAIN_EVENTS_MAX: i64 = 2_000;
/// Most events one run may make.
pub const RUN_EVENTS_MAX: i64 = 500;
/// Most tries of steps in one run, loops included: the walk looks at all of them.
pub const RUN_STEPS_MAX: usize = 5_000;
/// Longest list of a loop, as text: it is kept in the run.
pub const LOOP_BYTES_MAX: usize = 256 * 1024;
/// Runs of a workspace that may wait for one kind of event about the same subject, or about any: an event looks
/// at each of them.
pub const WAITS_MAX: i64 = 1_000;
/// The same for waits with a condition: each is judged, with what its run knows, in the transaction that stores the
/// event.
pub const WAITS_WITH_CONDITION_MAX: i64 = 200;
/// Most runs of one rule in an hour: a webhook flood at 100 a second stays below it.
pub const RULE_RUNS_PER_HOUR_MAX: i64 = 400_000;
/// Most tries of a job that fails by no fault of its step before a person must look.
pub const JOB_TRIES_MAX: i64 = 25;
/// Longest text kept of a step's input or output.
pub const TRACE_BYTES_MAX: usize = 16 * 1024;

/// Spans that an operator may set.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Names this process in leases; unique among the processes of a database.
    pub owner: String,
    /// Jobs worked on at a time.
    pub workers: usize,
    /// A lost worker's jobs are free after this.
    pub lease: i64,
    /// Longest time one call may take.
    pub call_timeout: i64,
    /// Replaces each network's settle window, for tests against doubles.
    pub settle_override: Option<i64>,
    /// Time between two looks that must both find nothing.
    pub absent_gap: i64,
    /// A doubtful publication goes to a person after this.
    pub reconcile_window: i64,
    /// Publish tries before a person must look.
    pub publish_tries: i64,
    /// Runs and events are kept so long.
    pub retention: i64,
    /// Ordinary runs are kept so long; not shorter than all others if this is not less than `retention`.
    pub dull_retention: i64,
    /// Where outcomes are kept that the database could not take.
    pub spill_file: Option<PathBuf>,
    /// This process alone uses the database, so that leases of a former life are void.
    pub is_alone: bool,
    /// Keeps why candidates started nothing; only benchmarks do without.
    pub keeps_refusals: bool,
    /// Takes refusals instead of the database; only forecasts have one.
    pub refusals: Option<crate::forecast::Refusals>,
}

impl EngineConfig {
    /// Places that one workspace may use at a time; a quarter is kept for the others.
    pub(crate) fn share(&self) -> usize {
        (self.workers - self.workers / 4).max(1)
    }

    /// How long ordinary runs are kept, if that is shorter than for all others.
    pub fn dull_span(&self) -> Option<i64> {
        (self.dull_retention < self.retention).then_some(self.dull_retention)
    }

    /// The values that a server starts with.
    pub fn new(owner: impl Into<String>) -> Self {
        Self {
            owner: owner.into(),
            workers: 128,
            lease: 3 * MINUTE,
            call_timeout: MINUTE,
            settle_override: None,
            absent_gap: 30 * SECOND,
            reconcile_window: 6 * HOUR,
            publish_tries: 8,
            retention: 90 * DAY,
            dull_retention: 45 * DAY,
            spill_file: None,
            is_alone: true,
            keeps_refusals: true,
            refusals: None,
        }
    }
}
