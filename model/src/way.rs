//! Ways of runs: what the runs of one version of a rule have in common.
//!
//! Invariant: a way has no ids, moments or values of its runs; so there are few of them, and one may be kept when
//! its runs are gone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{EventId, RuleId, RunId},
    run::StepOutcome,
    time::Timestamp,
};

/// A step of a way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WayStep {
    /// JSON pointer in the document; all elements of a loop are one.
    pub path: String,
    /// The step's id.
    pub step: String,
    /// How its tries came out, each outcome once.
    pub outcomes: Vec<StepOutcome>,
    /// Branches it took, whether a wait ran out of time, and codes of its errors.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub marks: Vec<String>,
}

/// A way that runs of a rule went, with how many did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunWay {
    /// Its number, as hexadecimal text.
    pub way: String,
    /// The rule's version.
    pub version: i64,
    /// Id of the trigger.
    pub trigger: String,
    /// Its steps in the order of their places; none for what is counted together because a version has too many ways.
    pub steps: Option<Vec<WayStep>>,
    /// Finished runs that went it and are old enough to be counted.
    pub seen: i64,
    /// Those that were ordinary and were let go.
    pub let_go: i64,
    /// When the first of them was made.
    pub first_at: Timestamp,
    /// When the last of them was made.
    pub last_at: Timestamp,
    /// Some of those that are kept, the newest last.
    pub kept: Vec<RunId>,
    /// One sentence.
    pub text: String,
}

/// The ways of a rule's runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunWays {
    /// The one that was gone last comes first.
    pub items: Vec<RunWay>,
    /// Runs that finished before this were looked at: ordinary ones of that time are gone. None if none was.
    pub thinned_until: Option<Timestamp>,
    /// Ordinary runs are let go after so many days; none if they are kept as long as all others.
    pub dull_days: Option<i64>,
    /// There are more ways.
    pub is_cut: bool,
}

/// A start whose run was ordinary and was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StartLetGo {
    /// The event.
    pub event: EventId,
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: i64,
    /// Id of the trigger.
    pub trigger: String,
    /// Number of its way, as hexadecimal text.
    pub way: String,
    /// When the run was made.
    pub at: Timestamp,
}

/// A way's number as people see it.
pub fn way_name(way: i64) -> String {
    format!("{way:016x}")
}
