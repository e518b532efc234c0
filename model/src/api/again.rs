//! Runs once more: re-drive, re-run and what-if, kept apart by name; and two runs beside each other.
//!
//! Owns the shapes of `/runs/{run}/redrive`, `/what-if`, `/compare` and `/runs/bulk`. Invariant: a re-drive goes on
//! with the pinned version, a re-run begins anew with the live one, and a what-if does nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{rule::RuleText, run::RunView};
use crate::{
    id::{RuleId, RunId},
    run::{RunState, StepOutcome},
    time::Timestamp,
};

/// Goes on with a run that failed or was cancelled.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redrive {
    /// Also makes calls again of which nobody knows whether they took effect.
    #[serde(default)]
    pub even_if_unknown: bool,
}

/// Asks what another version would do about a run's event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhatIf {
    /// A version of the rule; the live one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// A draft as a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// A draft as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
}

/// What is done with many runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    /// Goes on with each from its failed step: same event, same version, same run.
    Redrive,
    /// Begins each anew: same event, live version, new run.
    Rerun,
    /// Tells what the live version, or the one named, would do; does nothing.
    WhatIf,
}

/// Which runs; what is absent is any.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkFilter {
    /// Of this rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// In this state; failed without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<RunState>,
    /// Made at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Made at this moment or before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Whose reason contains this; case is ignored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Made after this run: where an earlier answer was cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RunId>,
}

/// Does something with many runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BulkRuns {
    /// What.
    pub action: BulkAction,
    /// With which.
    pub filter: BulkFilter,
    /// A version for `what_if`; the live one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// As for one re-drive.
    #[serde(default)]
    pub even_if_unknown: bool,
    /// Only tells which runs it would be.
    #[serde(default)]
    pub preview: bool,
    /// Most runs: 100, and 10 of `what_if`; as many without it. The oldest come first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// What came of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BulkItem {
    /// The run that was found.
    pub run: RunId,
    /// Whether it was done.
    pub done: bool,
    /// The run that goes on or was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<RunId>,
    /// One sentence.
    pub text: String,
}

/// What came of many runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BulkReport {
    /// One line for each run, the oldest first.
    pub items: Vec<BulkItem>,
    /// More runs may match.
    pub is_cut: bool,
    /// The `after` of the next request, if the answer was cut. Asking the same again would do the same runs again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<RunId>,
}

/// Two runs beside each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunComparison {
    /// The one.
    pub left: RunView,
    /// The other.
    pub right: RunView,
    /// One sentence: where they part, or that they do not.
    pub text: String,
    /// Where they part; none if they do not.
    pub first_difference: Option<RunDifference>,
    /// Steps of both in order.
    pub steps: Vec<StepPair>,
}

/// A difference of two runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDifference {
    /// Place of the step; empty for the event, `/if` for the condition.
    pub path: String,
    /// What differs: `event`, `condition`, `presence`, `outcome`, `input`, `output` or `error`.
    pub what: String,
    /// JSON pointer within it to the first value that differs.
    pub pointer: String,
    /// The one's value.
    pub left: Value,
    /// The other's.
    pub right: Value,
}

/// The same step in both runs, by its latest try.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepPair {
    /// Place of the step.
    pub path: String,
    /// Its stable id.
    pub step: String,
    /// How it came out in the one; none if it was not reached.
    pub left: Option<StepOutcome>,
    /// How it came out in the other.
    pub right: Option<StepOutcome>,
    /// Nothing differs but ids and moments that follow from the run itself.
    pub is_same: bool,
}

/// The other run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareQuery {
    /// Its id.
    pub with: RunId,
}
