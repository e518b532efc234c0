//! Events: everything that happens, immutable, shaped like CloudEvents 1.0.
//!
//! Invariant: (workspace, source, dedupe id) is the identity; a second delivery
//! of the same happening is the same event.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{EventId, RuleId, RunId, WorkspaceId},
    time::Timestamp,
};

/// A stored event. `causation` and `correlation` are CloudEvents extensions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Event {
    /// Own id.
    pub id: EventId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Dotted, past tense: `post.published`.
    pub kind: String,
    /// Where it comes from: `feed/feed_…`, `hook/hook_…`, `engine`.
    pub source: String,
    /// Identity within the source; equal for repeated deliveries.
    pub dedupe: String,
    /// What it is about, such as a post id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// When it happened.
    pub time: Timestamp,
    /// The payload.
    pub data: Value,
    /// Rules, runs and events it follows from.
    pub cause: Cause,
}

/// Where an event stands in a chain of consequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default, schemars::JsonSchema)]
pub struct Cause {
    /// The event whose run made this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<EventId>,
    /// The run that made this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The first event of the chain; the event itself when it has no cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<EventId>,
    /// Steps away from the root.
    #[serde(default)]
    pub depth: u32,
    /// Rules on the way here, oldest first; the loop guard reads it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleId>,
}

/// An event that is about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Dotted, past tense.
    pub kind: String,
    /// Where it comes from.
    pub source: String,
    /// Identity within the source; `None` makes the event unique.
    pub dedupe: Option<String>,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened; `None` is the moment of storing.
    pub time: Option<Timestamp>,
    /// The payload.
    pub data: Value,
    /// Chain it belongs to.
    pub cause: Cause,
}

impl NewEvent {
    /// An event of the engine's own, with no cause and no dedupe id.
    pub fn new(workspace: WorkspaceId, kind: impl Into<String>, data: Value) -> Self {
        Self {
            workspace,
            kind: kind.into(),
            source: "engine".into(),
            dedupe: None,
            subject: None,
            time: None,
            data,
            cause: Cause::default(),
        }
    }
    /// Sets source and identity.
    pub fn from_source(mut self, source: impl Into<String>, dedupe: impl Into<String>) -> Self {
        self.source = source.into();
        self.dedupe = Some(dedupe.into());
        self
    }
    /// Sets what the event is about.
    pub fn about(mut self, subject: impl ToString) -> Self {
        self.subject = Some(subject.to_string());
        self
    }
    /// Sets the chain it belongs to.
    pub fn because(mut self, cause: Cause) -> Self {
        self.cause = cause;
        self
    }
}

impl Cause {
    /// The cause of whatever `run` of `rule` makes out of `event`.
    pub fn of(event: &Event, run: RunId, rule: RuleId) -> Self {
        let mut rules = event.cause.rules.clone();
        rules.push(rule);
        Self {
            event: Some(event.id),
            run: Some(run),
            root: event.cause.root.or(Some(event.id)),
            depth: event.cause.depth + 1,
            rules,
        }
    }
}

/// Event kinds of the product itself. A webhook's own kinds are free.
pub mod kind {
    /// A time trigger's moment: at, cron, every, recurrence.
    pub const TIME_DUE: &str = "time.due";
    /// A queue's slot has come.
    pub const QUEUE_SLOT: &str = "queue.slot";
    /// A feed has a new item.
    pub const FEED_ITEM: &str = "feed.item";
    /// A feed's known item changed.
    pub const FEED_ITEM_EDITED: &str = "feed.item_edited";
    /// A feed failed so often that somebody should look.
    pub const FEED_FAILED: &str = "feed.failed";
    /// An inbound webhook was called.
    pub const WEBHOOK_RECEIVED: &str = "webhook.received";
    /// Somebody pressed the button.
    pub const MANUAL: &str = "manual.pressed";
    /// Another rule called.
    pub const RULE_CALLED: &str = "rule.called";
    /// A draft was made.
    pub const POST_CREATED: &str = "post.created";
    /// A post's content changed.
    pub const POST_EDITED: &str = "post.edited";
    /// A post got a due time.
    pub const POST_SCHEDULED: &str = "post.scheduled";
    /// A scheduled post's time has come.
    pub const POST_DUE: &str = "post.due";
    /// A recurring post's next occurrence has come.
    pub const POST_RECURRED: &str = "post.recurred";
    /// A post was sent for approval.
    pub const POST_SUBMITTED: &str = "post.submitted";
    /// A post was approved.
    pub const POST_APPROVED: &str = "post.approved";
    /// A post was rejected.
    pub const POST_REJECTED: &str = "post.rejected";
    /// Every publication of a post is live.
    pub const POST_PUBLISHED: &str = "post.published";
    /// Some are live, some failed.
    pub const POST_PARTIALLY_PUBLISHED: &str = "post.partially_published";
    /// None is live and none will be.
    pub const POST_FAILED: &str = "post.failed";
    /// The due time passed by more than the policy allows.
    pub const POST_MISSED: &str = "post.missed";
    /// Nobody can tell whether it is live: a person must look.
    pub const POST_NEEDS_REVIEW: &str = "post.needs_review";
    /// A post was deleted here.
    pub const POST_DELETED: &str = "post.deleted";
    /// An account was connected.
    pub const ACCOUNT_CONNECTED: &str = "account.connected";
    /// A network no longer accepts the account's token.
    pub const ACCOUNT_RECONNECT_REQUIRED: &str = "account.reconnect_required";
    /// An account was paused or deleted here.
    pub const ACCOUNT_DISABLED: &str = "account.disabled";
    /// A rule did not start for longer than it should.
    pub const RULE_SILENT: &str = "rule.silent";
    /// A run ended in an error.
    pub const RUN_FAILED: &str = "run.failed";
    /// An outbound address answered 410 or failed for too long.
    pub const ENDPOINT_DISABLED: &str = "endpoint.disabled";
    /// A schedule's occurrence was missed and its policy asks a person.
    pub const TIME_MISSED: &str = "time.missed";
}
