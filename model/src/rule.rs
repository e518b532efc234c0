//! The rule document, version 1: what an author writes, stores and versions.
//!
//! Owns the grammar only. Checking it, compiling it and running it are the
//! engine's. Invariant: the grammar is whole from the first day, so that no
//! stored rule ever needs rewriting.

mod input;
mod step;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use input::{Input, InputProblem, InputType};
pub use step::{
    ActionStep, Branch, ChooseStep, Delay, DelayStep, ForEach, ForEachStep, IfStep, OnTimeout,
    ParallelStep, Retry, SetStep, Step, StepBody, Stop, StopStep, WaitFor, WaitForStep,
};

/// A rule as its author wrote it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleDocument {
    /// Version of this grammar: 1.
    pub version: u32,
    /// Name shown in lists, at most 200 characters.
    #[schemars(length(min = 1, max = 200))]
    pub name: String,
    /// The author's comments; kept as written.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub notes: String,
    /// A switched-off rule never starts a run.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Any one of these starts the rule.
    #[schemars(length(min = 1, max = 20))]
    pub triggers: Vec<Trigger>,
    /// Must hold for a run to start; absent is always.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// What is done, in order.
    #[schemars(length(min = 1, max = 100))]
    pub steps: Vec<Step>,
    /// What a call by another rule must bring, read as `event.data.input.<name>`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub inputs: BTreeMap<String, Input>,
    /// What happens when the rule starts while it still runs.
    #[serde(default, skip_serializing_if = "Mode::is_default")]
    pub mode: Mode,
    /// At most so many runs in a span of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Throttle>,
    /// Waits for a quiet spell, then runs once with the latest event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<Debounce>,
    /// Runs once for each value of a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dedupe: Option<Dedupe>,
    /// Duration without a start after which the event `rule.silent` tells of it, or `learned`: from how often it starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub silent_after: Option<String>,
    /// Tighter bounds than the engine's own; never looser.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    pub limits: Limits,
}

fn yes() -> bool {
    true
}

/// `silent_after` of a rule whose latest starts say how often it starts.
pub const SILENT_AFTER_LEARNED: &str = "learned";

/// One way for a rule to start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trigger {
    /// Stable name within the rule; letters, digits, `_` and `-`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub id: String,
    /// Trigger kind, such as `feed.item`.
    pub kind: String,
    /// Parameters as the trigger kind's own JSON Schema asks.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub with: Map<String, Value>,
    /// What to do with moments missed while the server was down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch_up: Option<CatchUp>,
}

/// What happens to a moment that was missed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "policy", rename_all = "snake_case", deny_unknown_fields)]
pub enum CatchUp {
    /// Each missed moment still runs if it is less than `within` late.
    Late {
        /// Duration such as `1h`.
        within: String,
    },
    /// The latest missed moment runs once.
    Once {},
    /// Missed moments are dropped.
    Skip {},
    /// The latest missed moment waits for a person.
    Ask {},
}

/// A tree of conditions; exactly one key says which kind a node is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Condition {
    /// Every part holds.
    All(All),
    /// At least one part holds.
    Any(Any),
    /// The part does not hold.
    Not(Not),
    /// A value compared with a constant.
    Compare(Compare),
    /// The wall clock lies in a window.
    Time(TimeWindow),
    /// A fact of the workspace's history.
    Fact(FactTest),
    /// A Rhai expression that yields true or false.
    Expr(Expr),
}

/// Every part holds; an empty list holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct All {
    /// The parts.
    pub all: Vec<Condition>,
}

/// At least one part holds; an empty list does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Any {
    /// The parts.
    pub any: Vec<Condition>,
}

/// The part does not hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Not {
    /// The part.
    pub not: Box<Condition>,
}

/// A value of the event compared with a constant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Compare {
    /// Dotted path: `event.data.title`, `event.kind`, `workspace.time_zone`.
    pub field: String,
    /// How they are compared.
    pub op: Op,
    /// The constant; absent for `exists` and `is_empty`.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// Comparisons. Text comparisons ignore case where their name says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// Equal; numbers by value.
    Eq,
    /// Not equal.
    Ne,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Text holds a part, or a list an element; case is ignored.
    Contains,
    /// Opposite of `contains`.
    NotContains,
    /// Text begins so; case is ignored.
    StartsWith,
    /// Text ends so; case is ignored.
    EndsWith,
    /// Text matches a regular expression.
    Matches,
    /// The value is one of a list.
    In,
    /// The value is none of a list.
    NotIn,
    /// The field is there and not null.
    Exists,
    /// The field is absent, null, or an empty text or list.
    IsEmpty,
}

/// The wall clock lies in a window, in civil time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeWindow {
    /// The window.
    pub time: Window,
}

/// A window of the week.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// `HH:MM`, inclusive; absent is midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// `HH:MM`, exclusive; earlier than `from` crosses midnight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// `mon` … `sun`; empty is every day.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weekdays: Vec<String>,
    /// IANA zone; absent is the workspace's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// A fact of the workspace's history, fetched before the decision.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FactTest {
    /// Fact name: `last_published_hours`, `posts_published`, `queue_length`,
    /// `rule_runs`.
    pub fact: String,
    /// Parameters of the fact; texts may hold templates.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub of: Map<String, Value>,
    /// How the fact is compared.
    pub op: Op,
    /// The constant.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// A Rhai expression that yields true or false.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expr {
    /// The source.
    pub expr: String,
}

/// What happens when the rule starts while it still runs for the same key.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Mode {
    /// The mode.
    #[serde(default)]
    pub kind: ModeKind,
    /// Template; runs with different values do not hinder each other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Runs at a time (parallel; without it as many as start) or waiting
    /// (queued; 1000 without it); 1 to 1000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub max: Option<u32>,
}

impl Mode {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// The four modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModeKind {
    /// A start during a run is dropped, with that reason recorded.
    Single,
    /// A start during a run waits its turn.
    Queued,
    /// Runs go side by side.
    #[default]
    Parallel,
    /// A start ends the run under way and begins anew.
    Restart,
}

/// At most `max` runs for each key in any span `per`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Throttle {
    /// Runs; 1 to 100 000.
    #[schemars(range(min = 1, max = 100_000))]
    pub max: u32,
    /// Duration.
    pub per: String,
    /// Template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Waits until no further start came for `for`, then runs with the latest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Debounce {
    /// Duration.
    #[serde(rename = "for")]
    pub duration: String,
    /// Template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// Runs once for each value of a key within a span.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dedupe {
    /// Template.
    pub key: String,
    /// Duration for which a value is remembered; absent is for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<String>,
}

/// Tighter bounds than the engine's own; a looser value has no effect.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Longest chain of consequences this rule may be part of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_depth: Option<u32>,
    /// Most runs in an hour; beyond it no run starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs_per_hour: Option<u32>,
    /// Most events one run may make.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_events_per_run: Option<u32>,
}

impl Limits {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_whole_grammar_round_trips() {
        let document = json!({
            "version": 1, "name": "All of it", "notes": "why", "enabled": true,
            "triggers": [{"id": "t", "kind": "time.cron", "with": {"expression": "0 9 * * *"},
                          "catch_up": {"policy": "late", "within": "1h"}}],
            "if": {"all": [
                {"field": "event.data.likes", "op": "gt", "value": 100},
                {"any": [{"not": {"expr": "event.data.muted"}}, {"time": {"from": "09:00", "to": "17:00"}}]},
                {"fact": "queue_length", "of": {"queue": "queue_1"}, "op": "lt", "value": 5}]},
            "steps": [
                {"id": "a", "action": "post.create", "with": {"text": "{{ event.data.title }}"},
                 "retry": {"tries": 3, "first": "1s", "factor": 2.0, "cap": "1m", "jitter": 0.0},
                 "on_error": [{"id": "a1", "stop": {"reason": "no"}}]},
                {"id": "b", "if": {"expr": "true"}, "then": [], "else": [{"id": "b1", "set": {"x": 1}}]},
                {"id": "c", "choose": [{"if": {"expr": "true"}, "then": []}], "otherwise": []},
                {"id": "d", "for_each": {"items": "{{ event.data.list }}", "parallel": 2}, "do": [], "timeout": "1h",
                 "on_error": [{"id": "d1", "stop": {}}]},
                {"id": "e", "parallel": [[], []]},
                {"id": "f", "delay": {"for": "10m"}},
                {"id": "g", "wait_for": {"event": "post.approved", "subject": "{{ event.subject }}", "timeout": "1d",
                 "on_timeout": "fail"}},
                {"id": "h", "stop": {"reason": "done", "error": true}}],
            "mode": {"kind": "queued", "key": "{{ event.subject }}", "max": 3},
            "throttle": {"max": 1, "per": "1h"}, "debounce": {"for": "5m"},
            "dedupe": {"key": "{{ event.data.id }}"}, "limits": {"max_depth": 4}, "silent_after": "2d",
            "inputs": {"name": {"type": "text", "default": "Ann"}}
        });
        let rule: RuleDocument = serde_json::from_value(document.clone()).unwrap();
        assert!(matches!(rule.steps[4].body, StepBody::Parallel(_)));
        assert_eq!(rule.steps[0].on_error.len(), 1);
        let back = serde_json::to_value(&rule).unwrap();
        let again: RuleDocument = serde_json::from_value(back).unwrap();
        assert_eq!(rule, again);
    }
}
