//! `[publish]`: workers, leases and tries of the engine.

use serde::{Deserialize, Serialize};

use super::Problems;

/// Settings of publishing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PublishConfig {
    /// Jobs worked on at a time.
    pub workers: u64,
    /// A lost worker's jobs are free after this.
    pub lease_secs: u64,
    /// Longest time one call to a network may take.
    pub call_timeout_secs: u64,
    /// Replaces each network's settle window; only for tests against doubles.
    pub settle_secs: Option<u64>,
    /// Pause between two looks that must both find nothing.
    pub absent_gap_secs: u64,
    /// A doubtful publication goes to a person after this.
    pub reconcile_hours: u64,
    /// Tries before a person must look.
    pub tries: u64,
}

impl Default for PublishConfig {
    fn default() -> Self {
        Self {
            workers: 128,
            lease_secs: 180,
            call_timeout_secs: 60,
            settle_secs: None,
            absent_gap_secs: 30,
            reconcile_hours: 6,
            tries: 8,
        }
    }
}

impl PublishConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.check_range("publish.workers", self.workers, 1, 4096);
        problems.check_range("publish.lease_secs", self.lease_secs, 30, 3600);
        problems.check_range("publish.call_timeout_secs", self.call_timeout_secs, 5, 600);
        problems.check_range("publish.absent_gap_secs", self.absent_gap_secs, 0, 3600);
        problems.check_range("publish.reconcile_hours", self.reconcile_hours, 1, 168);
        problems.check_range("publish.tries", self.tries, 1, 50);
        // A lease that ends during a call would let a second worker begin the same call.
        if self.lease_secs <= self.call_timeout_secs {
            problems.add(
                "publish.lease_secs",
                "must be longer than publish.call_timeout_secs",
            );
        }
    }
}
