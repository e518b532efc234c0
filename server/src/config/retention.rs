//! `[retention]`: how long the past is kept.

use serde::{Deserialize, Serialize};

use super::Problems;

/// Settings of housekeeping.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RetentionConfig {
    /// Events, runs and their traces.
    pub runs_days: u64,
    /// Ordinary runs and their traces; not before all others if this is not below `runs_days`.
    pub dull_days: u64,
    /// Sessions after their end, so that a stolen token is still recognised.
    pub sessions_days: u64,
}

impl Default for RetentionConfig {
    fn default() -> Self {
        Self {
            runs_days: 90,
            dull_days: 45,
            sessions_days: 30,
        }
    }
}

impl RetentionConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.check_range("retention.runs_days", self.runs_days, 1, 3650);
        problems.check_range("retention.dull_days", self.dull_days, 1, 3650);
        problems.check_range("retention.sessions_days", self.sessions_days, 1, 365);
    }
}
