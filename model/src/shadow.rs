//! A candidate of a rule beside the live version: what was found on the same events.
//!
//! Owns the form of a difference and the counts. Must not know how they are found: the engine does. Invariant: every
//! event that concerns one of the two is counted once.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::EventId, time::Timestamp};

/// What came of the two on one event or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ShadowOutcome {
    /// Both start and do the same, or neither starts.
    Same,
    /// The live version started, the candidate would not have.
    OnlyLive,
    /// The candidate would have started, the live version did not.
    OnlyCandidate,
    /// Both start, and do different things.
    EffectsDiffer,
    /// What is needed to tell is not known.
    CannotSay,
}

/// How often each outcome was seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowCounts {
    /// Both the same.
    pub same: i64,
    /// Only the live version started.
    pub only_live: i64,
    /// Only the candidate would have started.
    pub only_candidate: i64,
    /// Both start and do different things.
    pub differs: i64,
    /// It cannot be told.
    pub unknown: i64,
}

impl ShadowCounts {
    /// Counts one.
    pub fn count(&mut self, outcome: ShadowOutcome) {
        let counter = match outcome {
            ShadowOutcome::Same => &mut self.same,
            ShadowOutcome::OnlyLive => &mut self.only_live,
            ShadowOutcome::OnlyCandidate => &mut self.only_candidate,
            ShadowOutcome::EffectsDiffer => &mut self.differs,
            ShadowOutcome::CannotSay => &mut self.unknown,
        };
        *counter += 1;
    }
    /// All that were not the same; the number of the latest difference.
    pub fn listed(&self) -> i64 {
        self.only_live + self.only_candidate + self.differs + self.unknown
    }
}

/// An event or a moment on which the two were not the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowDifference {
    /// Counts from 1 within the shadow.
    pub seq: i64,
    /// What came of it.
    pub outcome: ShadowOutcome,
    /// When.
    pub at: Timestamp,
    /// The event; none for a moment of a schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The event's kind, or the trigger whose schedule it is.
    pub what: String,
    /// Why: the first clause that failed, or the first effect that differs.
    pub because: String,
    /// Place of that in the document, where it has one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}
