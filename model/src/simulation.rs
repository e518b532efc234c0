//! What rules would have done about recorded events, held against what was done.
//!
//! Owns the shape of the answer. Invariant: what history does not hold is told as unknown and never guessed; what does
//! not fit into a list is counted beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{EventId, RuleId, RunId},
    run::{RunState, StepOutcome, Verdict},
    time::Timestamp,
};

/// What came out of a simulation over history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Simulation {
    /// From this moment on it is told.
    pub from: Timestamp,
    /// Up to this one.
    pub until: Timestamp,
    /// Recorded events that were played, those of the lead before `from` included.
    pub events: u64,
    /// Recorded events that would not have come, since what made them would not have been done.
    pub left_out: u64,
    /// Events that only the simulation made.
    pub made: u64,
    /// The rules, by their names.
    pub rules: Vec<SimulatedRule>,
    /// Starts in order; the first of them.
    pub starts: Vec<SimulatedStart>,
    /// Starts beyond those in the list.
    pub starts_more: u64,
    /// How it differs from what happened; the first differences.
    pub differences: Vec<StartDifference>,
    /// Differences beyond those in the list.
    pub differences_more: u64,
    /// Starts that came out as they did in reality.
    pub same: u64,
    /// What history does not hold.
    pub unknowns: Vec<SimulationUnknown>,
    /// Calls to the outside.
    pub calls: Vec<SimulatedCalls>,
    /// Set when a bound was reached: nothing from here on was played.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incomplete_from: Option<Timestamp>,
}

/// One rule in the simulation, and in reality.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedRule {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub name: String,
    /// True of a draft.
    pub is_draft: bool,
    /// Events it was a candidate for.
    pub candidates: u64,
    /// Runs it would start.
    pub started: u64,
    /// Runs it did start.
    pub started_really: u64,
    /// Events about which nothing can be said.
    pub cannot_say: u64,
    /// Refusals by what refused first.
    pub refused: Vec<RefusedBy>,
}

/// Refusals of one kind.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedBy {
    /// What came of the event.
    pub verdict: Verdict,
    /// Place of the clause that failed first: `/if/all/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// How often.
    pub count: u64,
}

/// How a simulated run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SimulatedEnd {
    /// It comes to its end.
    Finished,
    /// It ends in an error.
    Failed,
    /// A later start ends it.
    Cancelled,
    /// It still waits when the range is over.
    Waiting,
    /// It looks at something that history does not hold.
    CannotSay,
}

impl SimulatedEnd {
    /// How a recorded run ended.
    pub fn of(state: RunState) -> Self {
        match state {
            RunState::Finished => Self::Finished,
            RunState::Failed => Self::Failed,
            RunState::Cancelled => Self::Cancelled,
            _ => Self::Waiting,
        }
    }
}

/// One start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedStart {
    /// The rule.
    pub rule: RuleId,
    /// Id of the trigger in its document.
    pub trigger: String,
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub event_kind: String,
    /// When the run begins.
    pub at: Timestamp,
    /// How it ends.
    pub end: SimulatedEnd,
    /// Why it ends so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Actions whose answer is assumed, since they were not called so in reality.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub assumed: Vec<String>,
    /// What its actions do, in order.
    pub effects: Vec<SimulatedEffect>,
}

/// One try of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedEffect {
    /// When it ended.
    pub at: Timestamp,
    /// Place of the step, loops included.
    pub path: String,
    /// Id of the step.
    pub step: String,
    /// The action; empty where the version that did it is not at hand.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub action: String,
    /// Number of the try.
    pub attempt: i64,
    /// How it came out.
    pub outcome: StepOutcome,
    /// Its parameters, secrets hidden.
    pub with: Value,
    /// What it answers.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How a start differs.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum StartDiffers {
    /// It starts in the simulation and did not in reality.
    OnlySimulated,
    /// It started in reality and does not in the simulation.
    OnlyRecorded,
    /// It starts in both, and does something else.
    Otherwise,
    /// It started in reality, and nothing can be said about the simulation.
    CannotSay,
}

/// A difference from what happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StartDifference {
    /// Which kind.
    pub what: StartDiffers,
    /// The rule.
    pub rule: RuleId,
    /// Its name, if it is there still.
    pub rule_name: String,
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub event_kind: String,
    /// When the run began, or would begin.
    pub at: Timestamp,
    /// The recorded run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Why, in one sentence.
    pub text: String,
}

/// What history does not hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct SimulationUnknown {
    /// The rule it matters to.
    pub rule: RuleId,
    /// What is not known: the name of a fact, of an event's kind, or of a step's action.
    pub what: String,
    /// Why, and what it keeps from being said.
    pub text: String,
    /// How often.
    pub count: u64,
}

/// Calls of one action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SimulatedCalls {
    /// The action.
    pub action: String,
    /// The account it names, if it names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Calls in the simulation.
    pub count: u64,
    /// Calls in reality, of the same action and account.
    pub count_really: u64,
    /// The most within one hour of the clock.
    pub peak_in_an_hour: u64,
}
