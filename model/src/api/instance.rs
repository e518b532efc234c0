//! The server itself: whether it publishes, and what it may have forgotten.
//!
//! Owns the shapes of `/instance`. Invariant: nothing here tells of a workspace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Whether the server publishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InstanceStatus {
    /// It does.
    Running,
    /// It waits for its owner: it may be a copy of a server that runs elsewhere.
    Held,
}

/// How the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct InstanceState {
    /// Whether it publishes.
    pub status: InstanceStatus,
    /// Why it is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Whether the person who asks may confirm it.
    pub may_confirm: bool,
    /// Spans whose history its database lost, the latest first.
    pub gaps: Vec<GapView>,
}

/// A span whose history the database lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GapView {
    /// How that was noticed.
    pub cause: String,
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// False when nothing may have been lost at all.
    pub is_certain: bool,
}
