//! Cases: what a rule does about an event, written down beside the rule.
//!
//! Owns the form of a case and of what came of it. Must not know how a case is tried: the engine does. Invariant: a
//! case holds all that its rule looks at, so that it comes out the same on every machine and at every time.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::time::Timestamp;

/// The cases of a rule, as `cases.yaml` holds them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// The cases.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// Inputs of the blueprint that is tried; for a plain rule none.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub inputs: Map<String, Value>,
}

/// One case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it shows.
    pub name: String,
    /// The event; absent in a case that only looks at the schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<CaseEvent>,
    /// The moment; a Monday morning without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Timestamp>,
    /// Zone of the workspace; `Europe/Berlin` without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Facts by name, or by name and parameters: `queue_length: 3`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Value>,
    /// Events that came before, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<Earlier>,
    /// Runs of the rule that are under way.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub running: u32,
    /// Events that come while the run waits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub meanwhile: Vec<Meanwhile>,
    /// What steps answer, by their ids; the sample of its action without it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub outputs: Map<String, Value>,
    /// Steps that fail, by their ids.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, CaseFailure>,
    /// Whether the rule starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fires: Option<bool>,
    /// A part of the reason, if it does not start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// Place of the clause that failed first: `/if/all/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// What is called, in order, with rendered parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<CaseCall>>,
    /// How the run ends; a run that fails unexpectedly is a mistake in any case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<CaseEnd>,
    /// A part of the reason of the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The moments that the run waits for, in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timers: Option<Vec<Timestamp>>,
    /// When the rule's schedule starts it next after the moment of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
}

// Serde hands over a reference.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form is serde's")]
fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// The event of a case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseEvent {
    /// Its kind.
    pub kind: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Its payload.
    #[serde(default)]
    pub data: Value,
}

/// An event that came before the one of the case.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// How long before: `10m`.
    pub ago: String,
    /// The event; the one of the case without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<CaseEvent>,
}

/// An event that comes while the run waits.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Meanwhile {
    /// How long after the moment of the case: `10m`.
    pub after: String,
    /// The event.
    pub event: CaseEvent,
}

/// How a step fails.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseFailure {
    /// What it says.
    pub message: String,
    /// Its code.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// So many tries fail and the next one does not; without it the step fails for good.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
}

/// A call as a case expects it, and as it was made.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaseCall {
    /// Id of the step.
    pub id: String,
    /// Kind of the action.
    pub action: String,
    /// Rendered parameters; in a case that leaves them out they are not compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Value>,
}

/// How a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CaseEnd {
    /// It came to its end.
    Finished,
    /// Ended by an error.
    Failed,
}

/// What came of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// It came out as it says.
    pub passed: bool,
    /// What came out differently.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What came of the cases of a rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CaseReport {
    /// In the order of the cases.
    pub results: Vec<CaseResult>,
    /// What of the rule they went through.
    pub coverage: Coverage,
}

impl CaseReport {
    /// The first case that did not come out as it says.
    pub fn first_failed(&self) -> Option<&CaseResult> {
        self.results.iter().find(|result| !result.passed)
    }
}

/// What of a rule was gone through, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// Every clause of a condition.
    pub clauses: Vec<ClauseCount>,
    /// Every branch of the steps.
    pub branches: Vec<BranchCount>,
}

/// How often a clause held and did not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ClauseCount {
    /// Its place in the document.
    pub path: String,
    /// So often it held.
    pub held: u64,
    /// So often it did not.
    pub failed: u64,
}

/// How often a branch was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BranchCount {
    /// Its place in the document: `/steps/0/then`.
    pub path: String,
    /// So often it was taken.
    pub taken: u64,
}
