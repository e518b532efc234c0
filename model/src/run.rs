//! Runs, memos and traces: what a rule did, keyed by path in its document.
//!
//! Invariant: (run, path, attempt) → outcome is written once; a run names the
//! version of its rule, so editing the rule never changes it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{EventId, RuleId, RunId, WorkspaceId},
    time::Timestamp,
};

/// States of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Waits behind another run of the same key.
    Queued,
    /// Has work to do or is doing it.
    Running,
    /// Waits for a moment or an outcome.
    Waiting,
    /// Came to its end.
    Finished,
    /// Ended by an error.
    Failed,
    /// Somebody wants its end; it ends before its next step.
    Cancelling,
    /// Ended by a later start (mode restart) or by a person.
    Cancelled,
}

impl RunState {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelling => "cancelling",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Queued,
            Self::Running,
            Self::Waiting,
            Self::Finished,
            Self::Failed,
            Self::Cancelling,
            Self::Cancelled,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
    /// Nothing will change it any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }
}

/// One execution of a rule for an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Run {
    /// Own id.
    pub id: RunId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The rule.
    pub rule: RuleId,
    /// The rule's version, pinned.
    pub version: i64,
    /// What started it.
    pub event: EventId,
    /// Id of the trigger in the document.
    pub trigger: String,
    /// Where it is.
    pub state: RunState,
    /// Value of the mode's key.
    pub key: String,
    /// Condition trace of the start.
    pub decision: ConditionTrace,
    /// Why it ended, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// How a condition came out, with the values it saw.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ConditionTrace {
    /// JSON pointer in the document: `/if/all/0`.
    pub path: String,
    /// Whether it held; none when it was not looked at.
    pub held: Option<bool>,
    /// The value seen, shortened.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub saw: Value,
    /// One sentence: `likes is 87, wanted more than 100`.
    pub text: String,
    /// An error that counts as "did not hold".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<ConditionTrace>,
}

impl ConditionTrace {
    /// The trace of a rule without a condition.
    pub fn unconditional() -> Self {
        Self {
            path: "/if".into(),
            held: Some(true),
            saw: Value::Null,
            text: "no condition: always".into(),
            error: None,
            parts: Vec::new(),
        }
    }
}

/// How one try of a step came out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Memo {
    /// Place of the step: its JSON pointer in the document, `/steps/0`; within a loop `each` and the number of the
    /// element stand for `do`: `/steps/3/each/2/0`.
    pub path: String,
    /// The step's stable id.
    pub step: String,
    /// From 1.
    pub attempt: i64,
    /// How it came out.
    pub outcome: StepOutcome,
    /// Parameters after templates, secrets removed, shortened.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub input: Value,
    /// Result, or what is waited for.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// The error, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Condition trace of `if` and `choose`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<ConditionTrace>,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; none while it waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// How a step came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StepOutcome {
    /// A call to the outside was begun; nothing is known yet.
    Started,
    /// Done.
    Done,
    /// Waits for a moment, a retry, or publications.
    Waiting,
    /// This try failed; another follows.
    Retrying,
    /// Every try failed.
    Failed,
    /// Ended the run.
    Stopped,
}

impl StepOutcome {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Done => "done",
            Self::Waiting => "waiting",
            Self::Retrying => "retrying",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Started,
            Self::Done,
            Self::Waiting,
            Self::Retrying,
            Self::Failed,
            Self::Stopped,
        ]
        .into_iter()
        .find(|outcome| outcome.as_str() == text)
    }
}

/// Why a candidate rule started no run: the stored half of "why not?".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// A run was started.
    Started,
    /// The condition did not hold.
    ConditionFailed,
    /// The trigger's parameters did not match the event.
    TriggerMismatch,
    /// A run of the same key is under way (mode single), or the queue is full.
    ModeRefused,
    /// Too many runs in the span.
    Throttled,
    /// A later event may replace this one.
    Debounced,
    /// The key was seen before.
    Duplicate,
    /// The chain of consequences is too long or goes in a circle.
    LoopGuard,
    /// The rule used up its budget.
    OverBudget,
}

impl Verdict {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::ConditionFailed => "condition_failed",
            Self::TriggerMismatch => "trigger_mismatch",
            Self::ModeRefused => "mode_refused",
            Self::Throttled => "throttled",
            Self::Debounced => "debounced",
            Self::Duplicate => "duplicate",
            Self::LoopGuard => "loop_guard",
            Self::OverBudget => "over_budget",
        }
    }
}

/// The decision about one rule and one event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Decision {
    /// The rule.
    pub rule: RuleId,
    /// The rule's version.
    pub version: i64,
    /// Id of the trigger in the document.
    pub trigger: String,
    /// What came of it.
    pub verdict: Verdict,
    /// Condition trace, as far as it was looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<ConditionTrace>,
    /// One sentence.
    pub reason: String,
}
