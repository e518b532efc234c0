//! Dry runs: what a rule would do.
//!
//! Owns the shapes of `/dry-runs`. Invariant: an answer holds the event it is about, so that it can be asked again.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::RuleText;
use crate::{
    effect::{Effect, RehearsalEnd},
    event::Event,
    id::{EventId, RuleId},
    time::Timestamp,
    why::Clause,
};

/// An event that is made up, or changes to a stored one; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MadeEvent {
    /// Its kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// What it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Timestamp>,
    /// Its payload, whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
}

/// Asks what a rule would do about an event.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DryRunRequest {
    /// A saved rule; with a draft, the rule that it is a draft of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// A version of it; the live one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// A draft as a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// A draft as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// A stored event; without it the sample of a trigger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// Id of the trigger whose sample is taken; the first without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// Changes to the event or the sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<MadeEvent>,
    /// The moment it is decided; now without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
    /// Goes through the steps even if the rule would not start.
    #[serde(default)]
    pub anyway: bool,
}

/// What a rule would do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DryRun {
    /// The saved rule, if it is one.
    pub rule: Option<RuleId>,
    /// The version that was tried; none for a draft.
    pub version: Option<i64>,
    /// Its name.
    pub rule_name: String,
    /// The event.
    pub event: Event,
    /// The moment it was decided.
    pub at: Timestamp,
    /// Id of the trigger that listens, if one does.
    pub trigger: Option<String>,
    /// Whether it would start.
    pub would_start: bool,
    /// The plan in one sentence.
    pub text: String,
    /// Every clause; the first that failed is marked.
    pub clauses: Vec<Clause>,
    /// How it ends.
    pub end: RehearsalEnd,
    /// Why it ends so.
    pub reason: Option<String>,
    /// What it would do, in order. Nothing was done, and nobody was called.
    pub effects: Vec<Effect>,
}
