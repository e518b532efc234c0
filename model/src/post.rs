//! Posts: what people write, per account, and the state it is in.
//!
//! Invariant: a post is published at most once; repeats (evergreen, recurring)
//! are new posts that name the one they repeat.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    content::Content,
    id::{AccountId, LabelId, PostId, QueueId, RuleId, RunId, UserId, VariantId, WorkspaceId},
    time::Timestamp,
};

/// The states of a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostState {
    /// Being written.
    #[default]
    Draft,
    /// Waits for an approver.
    PendingApproval,
    /// Approved, no due time yet.
    Approved,
    /// Has a due time.
    Scheduled,
    /// Being sent.
    Publishing,
    /// Live everywhere it was meant to be.
    Published,
    /// Live at some accounts, failed at others.
    PartiallyPublished,
    /// Live nowhere.
    Failed,
    /// Its time passed by more than the policy allows; never sent late in a burst.
    Missed,
    /// Nobody can tell whether it is live; a person must look.
    NeedsReview,
}

impl PostState {
    /// Every state, in the order of a post's life.
    pub const ALL: [Self; 10] = [
        Self::Draft,
        Self::PendingApproval,
        Self::Approved,
        Self::Scheduled,
        Self::Publishing,
        Self::Published,
        Self::PartiallyPublished,
        Self::Failed,
        Self::Missed,
        Self::NeedsReview,
    ];
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::PendingApproval => "pending_approval",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Publishing => "publishing",
            Self::Published => "published",
            Self::PartiallyPublished => "partially_published",
            Self::Failed => "failed",
            Self::Missed => "missed",
            Self::NeedsReview => "needs_review",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
    /// Content may still be changed.
    pub fn is_editable(self) -> bool {
        matches!(
            self,
            Self::Draft
                | Self::PendingApproval
                | Self::Approved
                | Self::Scheduled
                | Self::Missed
                | Self::Failed
        )
    }
}

/// A post.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Post {
    /// Own id.
    pub id: PostId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Where it is in its life.
    pub state: PostState,
    /// Grows with every change; a publish names the revision it froze.
    pub revision: i64,
    /// Content for every account that has none of its own.
    pub content: Content,
    /// One for each account it goes to.
    pub variants: Vec<Variant>,
    /// Labels.
    #[serde(default)]
    pub labels: Vec<LabelId>,
    /// Who wrote it; none when a rule did.
    #[serde(default)]
    pub author: Option<UserId>,
    /// Which rule made it.
    #[serde(default)]
    pub origin: Option<Origin>,
    /// When it is to go out.
    #[serde(default)]
    pub due_at: Option<Timestamp>,
    /// The queue whose slot it holds.
    #[serde(default)]
    pub queue: Option<QueueId>,
    /// Repeats after an interval.
    #[serde(default)]
    pub evergreen: Option<Evergreen>,
    /// Repeats by a calendar; the engine's schedule of kind `recurrence`.
    #[serde(default)]
    pub recurrence: Option<Value>,
    /// The post this one repeats.
    #[serde(default)]
    pub repeats: Option<PostId>,
    /// What went wrong, for people.
    #[serde(default)]
    pub problem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
    /// When the last of its publications became live.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
}

impl Post {
    /// What goes to one account.
    pub fn content_for<'a>(&'a self, variant: &'a Variant) -> &'a Content {
        variant.content.as_ref().unwrap_or(&self.content)
    }
}

/// A post's version for one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Own id.
    pub id: VariantId,
    /// Where it goes.
    pub account: AccountId,
    /// Page, board, location or channel within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Content of its own; none takes the post's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// The rule and run that made a post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Origin {
    /// The rule.
    pub rule: RuleId,
    /// The run.
    pub run: RunId,
}

/// Repeats after an interval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Evergreen {
    /// Least time between two appearances, such as `30d`.
    pub interval: String,
    /// Appearances in all, the first included.
    pub max_times: u32,
    /// Which appearance this one is, from 1.
    #[serde(default = "first")]
    pub count: u32,
    /// Texts taken in turn for the repeats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variations: Vec<String>,
}

fn first() -> u32 {
    1
}
