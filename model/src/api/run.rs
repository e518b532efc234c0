//! Runs: what rules did, step by step.
//!
//! Owns the shapes of `/runs`. Invariant: a trace is keyed by the path in the pinned version of the rule's
//! document, which comes with it, so that it can be drawn whatever the rule is today.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    event::Event,
    id::{EventId, RuleId},
    publication::{Attempt, Publication},
    rule::RuleDocument,
    run::{Memo, Run, RunState},
};

/// A run with what a list shows of its rule and event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunView {
    /// The run.
    #[serde(flatten)]
    pub run: Run,
    /// Name of the rule; none if it was deleted.
    pub rule_name: Option<String>,
    /// Kind of the event that started it; none if the event is gone.
    pub event_kind: Option<String>,
    /// What that event is about.
    pub event_subject: Option<String>,
}

/// Runs of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunList {
    /// The newest first.
    pub items: Vec<RunView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which runs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunQuery {
    /// Of this rule.
    pub rule: Option<RuleId>,
    /// In this state.
    pub state: Option<RunState>,
    /// Started by this event.
    pub event: Option<EventId>,
    /// Started by events about this subject, such as a post's id.
    pub subject: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// A publication that a run asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunPublication {
    /// Path of the step in the document.
    pub path: String,
    /// The publication.
    pub publication: Publication,
    /// Every try at it.
    pub attempts: Vec<Attempt>,
}

/// A run with everything that is needed to draw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunDetail {
    /// The run.
    #[serde(flatten)]
    pub run: RunView,
    /// What started it; none if it is gone.
    pub started_by: Option<Event>,
    /// The document of the pinned version; none if it is gone.
    pub document: Option<RuleDocument>,
    /// Tries of steps in the order they were made.
    pub memos: Vec<Memo>,
    /// Publications that its steps asked for.
    pub publications: Vec<RunPublication>,
}
