//! The built-in network: its timeline and how its accounts behave.
//!
//! Owns the shapes of `/sandbox`. Invariant: what is shown here is what the network keeps, not what the
//! engine believes, so that the two can be compared.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    content::Content, id::AccountId, network::Reconciliation, problem::FieldError, time::Timestamp,
};

/// A post as the built-in network shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxPostView {
    /// The network's id.
    pub id: String,
    /// The account.
    pub account: AccountId,
    /// The account's name.
    pub name: String,
    /// The account's handle.
    pub handle: String,
    /// What it says.
    pub content: Content,
    /// The post it answers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// When it came.
    pub published_at: Timestamp,
}

/// The timeline.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SandboxTimeline {
    /// The newest first.
    pub items: Vec<SandboxPostView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which part of the timeline to show.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SandboxQuery {
    /// Of this account only.
    pub account: Option<AccountId>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// What goes wrong with each post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SandboxFault {
    /// Nothing.
    #[default]
    None,
    /// Refused for good.
    Reject,
    /// Not taken: too many.
    RateLimited,
    /// Not taken: out of order.
    Unavailable,
    /// Not taken: the token has ended.
    Reconnect,
    /// Taken, but no answer comes.
    LostAnswer,
    /// Not taken, and no answer comes.
    LostRequest,
}

/// How an account of the sandbox behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SandboxBehaviour {
    /// What goes wrong with each post.
    pub fault: SandboxFault,
    /// What lets one find out whether a post was taken; `listing` can only be listed, `none` cannot be asked.
    pub class: Option<Reconciliation>,
    /// Milliseconds that each post is held up, at most 10000.
    pub delay_ms: u64,
    /// Extra sub-steps of preparing, at most 20.
    pub prepare_steps: u64,
    /// Seconds between sub-steps, at most 60.
    pub step_s: u32,
    /// Seconds asked for by `rate_limited`, at most 3600; 60 without it.
    pub retry_after_s: Option<u32>,
}

/// A script to go through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StepScript {
    /// The script, as `script.run` takes it.
    pub source: String,
    /// Lines to stop at; every statement without them.
    #[serde(default)]
    pub break_points: Vec<u32>,
    /// The kind of trigger whose sample is the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The event, instead of a sample.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// What the script sees as `vars.input`.
    #[serde(default)]
    pub input: Value,
}

/// A script between two statements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptStop {
    /// Line of the statement that comes next, from 1.
    pub line: u32,
    /// Its column.
    pub column: u32,
    /// Functions around it.
    pub depth: u32,
    /// The script's own variables.
    pub variables: Map<String, Value>,
}

/// A script that was gone through.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptStops {
    /// In the order of the run; at most 500.
    pub stops: Vec<ScriptStop>,
    /// There were more.
    pub is_cut: bool,
    /// What it yielded.
    pub value: Value,
    /// What it printed.
    pub printed: Vec<String>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<FieldError>,
}
