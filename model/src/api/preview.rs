//! Trying things out before they are saved.
//!
//! Owns the shapes of `/api/v1/previews`. Invariant: a preview stores nothing and starts nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::hook::HookVerify;
use crate::{
    content::Content, id::AccountId, id::WorkspaceId, problem::FieldError, text::TextLength,
    time::Timestamp,
};

/// When would this fire? Exactly one of `schedule` and `trigger`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSchedule {
    /// A schedule: `{"kind": "cron", "expression": "0 9 * * *", "zone": "Europe/Berlin"}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<Value>,
    /// A trigger as it stands in a rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<PreviewTrigger>,
    /// IANA zone of a trigger that names none; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Moments after this one; now without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Timestamp>,
    /// Most moments, 1 to 100; 10 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub count: Option<u32>,
}

/// A trigger as it stands in a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewTrigger {
    /// Kind, such as `time.cron`.
    pub kind: String,
    /// Parameters.
    #[serde(default)]
    pub with: Map<String, Value>,
}

/// A moment at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OccurrenceView {
    /// When.
    pub at: Timestamp,
    /// What clocks show then.
    pub local: String,
    /// The zone of those clocks.
    pub zone: String,
    /// What was decided, in one sentence.
    pub explanation: String,
    /// Clocks change here: the sentence is worth reading.
    pub is_special: bool,
}

/// Moments at which a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SchedulePreview {
    /// The next first.
    pub occurrences: Vec<OccurrenceView>,
}

/// What is in this feed? Exactly one of `url` and `document`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewFeed {
    /// Address to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The feed itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<String>,
}

/// What is in a feed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedPreview {
    /// Title as the feed gives it.
    pub title: String,
    /// Its site.
    pub site_url: Option<String>,
    /// Items as rules see them in `event.data.item`; at most 50.
    pub items: Vec<Value>,
    /// All items of the document.
    pub total: usize,
    /// What was dropped or repaired.
    pub warnings: Vec<String>,
}

/// Would this content fit?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewText {
    /// The content.
    pub content: Content,
    /// Networks to look at; all without it.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Accounts whose own limits are to be looked at.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// The workspace of the accounts; needed with `accounts`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workspace: Option<WorkspaceId>,
}

/// How a content fits one network or account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextFit {
    /// The network.
    pub network: String,
    /// The account, if its own limits were asked for.
    pub account: Option<AccountId>,
    /// Length of the text; none if the network does not take this type.
    pub length: Option<TextLength>,
    /// Lengths of the parts of the thread.
    pub thread: Vec<TextLength>,
    /// What the network would refuse; pointers start at the content.
    pub problems: Vec<FieldError>,
}

/// How a content fits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TextPreview {
    /// One for each network, then one for each account.
    pub fits: Vec<TextFit>,
}

/// What a script is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ScriptDialect {
    /// One expression, as in conditions and templates.
    #[default]
    Expression,
    /// A whole script, as in `script.run`.
    Script,
}

/// What does this script do?
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewScript {
    /// The source.
    pub source: String,
    /// What it is.
    #[serde(default)]
    pub dialect: ScriptDialect,
    /// A trigger kind whose sample event it sees; `event` wins over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// The event it sees, such as one that was stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Value>,
    /// Further variables: `vars`, `steps`, `workspace`, `item`, `trigger`, `run`.
    #[serde(default)]
    pub vars: Map<String, Value>,
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptPreview {
    /// Its value; null when it failed.
    pub value: Value,
    /// Lines it printed.
    pub printed: Vec<String>,
    /// Operations it used.
    pub operations: u64,
    /// Why it failed.
    pub error: Option<FieldError>,
    /// Mistakes found by reading it.
    pub findings: Vec<FieldError>,
}

/// Would this call be taken?
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PreviewSignature {
    /// How calls are verified.
    pub verify: HookVerify,
    /// The secret.
    pub secret: String,
    /// The call's headers.
    #[serde(default)]
    pub headers: std::collections::BTreeMap<String, String>,
    /// The call's body.
    #[serde(default)]
    pub body: String,
}

/// Whether a call would be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignaturePreview {
    /// It would.
    pub is_valid: bool,
    /// Why not.
    pub reason: Option<String>,
}
