//! Why a rule started on an event, or did not.
//!
//! Owns the shape of the answer and of what is recorded for it. Invariant: an answer names the version of the
//! rule it is about, and at most one of its clauses is the first that failed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{EventId, PostId, RuleId, RunId},
    run::Verdict,
    time::Timestamp,
};

/// What a decision looked at beside the event and the version, kept so that it can be taken again.
///
/// Kept for every refusal, so its names are short and what is absent is not written.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recorded {
    /// Zone of the workspace then, where the condition may read it.
    #[serde(default, rename = "z", skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Name of the workspace then, likewise.
    #[serde(default, rename = "n", skip_serializing_if = "Option::is_none")]
    pub workspace: Option<String>,
    /// Facts that were looked up, by name and parameters.
    #[serde(default, rename = "f", skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, Value>,
    /// Value of the key of what refused: throttle, dedupe, debounce or mode.
    #[serde(default, rename = "k", skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Starts that a throttle had counted.
    #[serde(default, rename = "u", skip_serializing_if = "Option::is_none")]
    pub used: Option<i64>,
    /// When a throttle has a place again.
    #[serde(default, rename = "t", skip_serializing_if = "Option::is_none")]
    pub free_at: Option<Timestamp>,
    /// Runs that were in the way of a mode; the first few.
    #[serde(default, rename = "r", skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<RunId>,
}

/// What came of a rule and an event.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum WhyOutcome {
    /// A run was started.
    Started,
    /// It was a candidate and started no run.
    Refused,
    /// It was no candidate: it was not there, was off, or does not listen to such an event.
    NotCandidate,
    /// The event waits to be decided.
    Undecided,
    /// Nothing was recorded, or the record is gone.
    Unknown,
}

/// What a clause asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClauseKind {
    /// The rule was there.
    Exists,
    /// The rule was switched on.
    Enabled,
    /// A trigger listens to the event.
    Trigger,
    /// The chain of consequences is short and goes in no circle.
    Chain,
    /// Every part holds.
    All,
    /// At least one part holds.
    Any,
    /// The part does not hold.
    Not,
    /// A value compared with a constant.
    Compare,
    /// The clock lies in a window.
    Time,
    /// A fact of the workspace's history.
    Fact,
    /// An expression.
    Expr,
    /// The keys can be computed.
    Keys,
    /// The hour's budget has room.
    Budget,
    /// The throttle has a place.
    Throttle,
    /// The key was not seen before.
    Dedupe,
    /// No later event may replace this one.
    Debounce,
    /// The mode allows another run.
    Mode,
}

/// How far a clause was from holding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Distance {
    /// So much, in the unit; none where it cannot be counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<f64>,
    /// `minutes`, `seconds`, or empty for plain numbers.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// In words: `13 short`.
    pub text: String,
}

/// One clause with what it wanted and what there was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Clause {
    /// JSON pointer in the document: `/if/all/0`; empty for what no line of the document asks.
    pub path: String,
    /// What it asks.
    pub what: ClauseKind,
    /// Whether it held; none if it was not looked at or cannot be known any more.
    pub held: Option<bool>,
    /// What it wanted, for people.
    pub expected: String,
    /// What there was, shortened.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub actual: Value,
    /// How far it was from holding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distance: Option<Distance>,
    /// One sentence.
    pub text: String,
    /// An error that counts as "did not hold".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// This one settled the matter.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_first: bool,
    /// Parts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<Clause>,
}

impl Clause {
    /// The clause that settled the matter, if it is this one or within it.
    pub fn first(&self) -> Option<&Clause> {
        if self.is_first {
            return Some(self);
        }
        self.parts.iter().find_map(Clause::first)
    }
}

/// Why a rule started on an event, or did not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Why {
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub event_kind: String,
    /// The rule.
    pub rule: RuleId,
    /// Its name now; as it was last if it is deleted.
    pub rule_name: String,
    /// The version that was decided with, or was live then; none if the rule was not there.
    pub version: Option<i64>,
    /// Id of the trigger that was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// When it was decided; when the event was stored if it was not.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: WhyOutcome,
    /// The stored verdict, where the rule was a candidate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// The run that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// One sentence.
    pub text: String,
    /// Every clause in the order in which they are looked at.
    pub clauses: Vec<Clause>,
}

impl Why {
    /// The clause that settled the matter.
    pub fn first(&self) -> Option<&Clause> {
        self.clauses.iter().find_map(Clause::first)
    }
}

/// One event of a span and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyLine {
    /// The event.
    pub event: EventId,
    /// Its kind.
    pub kind: String,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it was stored.
    pub at: Timestamp,
    /// What came of it.
    pub outcome: WhyOutcome,
    /// One sentence.
    pub text: String,
    /// The run that was started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
}

/// A rule's schedule around a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhySchedule {
    /// Id of the trigger.
    pub trigger: String,
    /// The last moment before the span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<Timestamp>,
    /// Moments within the span; the first few.
    pub within: Vec<Timestamp>,
    /// The first moment after the span.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Timestamp>,
    /// One sentence.
    pub text: String,
}

/// The rule was switched on or off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhySwitch {
    /// When.
    pub at: Timestamp,
    /// What holds since.
    pub is_enabled: bool,
}

/// So many events with the same outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WhyCount {
    /// The outcome.
    pub outcome: WhyOutcome,
    /// Events.
    pub events: u64,
}

/// Why a rule did not start in a span of time, or how often it did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhySpan {
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub rule_name: String,
    /// Begin of the span.
    pub from: Timestamp,
    /// End of the span.
    pub until: Timestamp,
    /// One sentence.
    pub text: String,
    /// When the rule was saved first.
    pub created_at: Timestamp,
    /// When it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// Whether it was on at the begin; none if that was not recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub was_enabled: Option<bool>,
    /// Switches within the span.
    pub switches: Vec<WhySwitch>,
    /// Its schedules, if it has some.
    pub schedules: Vec<WhySchedule>,
    /// Moments that were missed and wait for a person, as their policy asks.
    pub missed: Vec<Timestamp>,
    /// Events by outcome.
    pub counts: Vec<WhyCount>,
    /// Events of the kinds it listens to, the newest first.
    pub events: Vec<WhyLine>,
    /// There were more events than are shown.
    pub is_cut: bool,
}

/// What a rule made of everything that happened to a post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhyPost {
    /// The post.
    pub post: PostId,
    /// The rule.
    pub rule: RuleId,
    /// Its name.
    pub rule_name: String,
    /// One sentence.
    pub text: String,
    /// One answer for each event about the post, the newest first.
    pub events: Vec<Why>,
    /// There were more events than are shown.
    pub is_cut: bool,
}

/// Which rule is asked about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhyQuery {
    /// The rule.
    pub rule: RuleId,
}

/// Which span is asked about.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WhySpanQuery {
    /// Begin; a day before the end without it.
    pub from: Option<Timestamp>,
    /// End; now without it.
    pub until: Option<Timestamp>,
}
