//! Events and what they started.
//!
//! Owns the shapes of `/events`. Invariant: an event is shown as it was stored; it is never changed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{rule::DecisionView, run::RunView};
use crate::{event::Event, way::StartLetGo};

/// Events of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventList {
    /// The newest first.
    pub items: Vec<Event>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which events to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventQuery {
    /// Of this kind, such as `feed.item`.
    pub kind: Option<String>,
    /// About this subject, such as a post's id.
    pub subject: Option<String>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// An event with what it started and what it did not start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct EventDetail {
    /// The event.
    #[serde(flatten)]
    pub event: Event,
    /// Runs it started.
    pub runs: Vec<RunView>,
    /// Starts whose runs were ordinary and were let go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub let_go: Vec<StartLetGo>,
    /// Rules that listen to it and did not start, each with the reason.
    pub decisions: Vec<DecisionView>,
}
