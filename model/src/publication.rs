//! Publications and attempts: the records of the publish protocol.
//!
//! Invariant: before any call with a public effect an attempt is committed;
//! a new attempt follows only when the former one provably had no effect.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{AccountId, AttemptId, PostId, PublicationId, VariantId, WorkspaceId},
    time::Timestamp,
};

/// States of a publication. See docs/publishing.md for the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicationState {
    /// To be sent.
    Due,
    /// Media, containers and other calls without public effect are under way.
    Preparing,
    /// The intent is committed; the call may have been made.
    Sending,
    /// The call's outcome is not known; waits for the settle window.
    Unknown,
    /// The network is being asked what became of it.
    Reconciling,
    /// Refused or not taken for now; will be tried again.
    RetryWait,
    /// Waits for the account to be connected again.
    Held,
    /// Live. Terminal.
    Published,
    /// Refused for good. Terminal unless a person tries again.
    Failed,
    /// Only a person can tell.
    NeedsReview,
    /// Withdrawn before it was sent. Terminal.
    Cancelled,
}

impl PublicationState {
    /// All states.
    pub const ALL: [Self; 11] = [
        Self::Due,
        Self::Preparing,
        Self::Sending,
        Self::Unknown,
        Self::Reconciling,
        Self::RetryWait,
        Self::Held,
        Self::Published,
        Self::Failed,
        Self::NeedsReview,
        Self::Cancelled,
    ];
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Preparing => "preparing",
            Self::Sending => "sending",
            Self::Unknown => "unknown",
            Self::Reconciling => "reconciling",
            Self::RetryWait => "retry_wait",
            Self::Held => "held",
            Self::Published => "published",
            Self::Failed => "failed",
            Self::NeedsReview => "needs_review",
            Self::Cancelled => "cancelled",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
    /// No machine will move it on: published, failed, cancelled, or a person's turn.
    pub fn is_settled(self) -> bool {
        matches!(
            self,
            Self::Published | Self::Failed | Self::Cancelled | Self::NeedsReview
        )
    }
}

/// One part of a post at one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Publication {
    /// Own id; also the key given to networks that take one.
    pub id: PublicationId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The post.
    pub post: PostId,
    /// The post's version.
    pub variant: VariantId,
    /// The account.
    pub account: AccountId,
    /// 0 is the post itself; 1… are parts of the thread, then the first comment.
    pub part: i64,
    /// Where it is in the protocol.
    pub state: PublicationState,
    /// Revision of the post that was frozen.
    pub revision: i64,
    /// Fencing number; grows with every claim.
    pub epoch: i64,
    /// Tries so far.
    pub attempts: i64,
    /// When it was due.
    pub due_at: Timestamp,
    /// What the network calls it.
    #[serde(default)]
    pub remote_id: Option<String>,
    /// Where people see it.
    #[serde(default)]
    pub remote_url: Option<String>,
    /// Ids of uploads and containers, kept before the commit call.
    #[serde(default)]
    pub progress: Value,
    /// What went wrong, for people.
    #[serde(default)]
    pub problem: Option<String>,
    /// When it became live.
    #[serde(default)]
    pub published_at: Option<Timestamp>,
}

/// Phases of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AttemptPhase {
    /// Intent committed; nothing is known of the outcome.
    Open,
    /// The network confirmed it.
    Confirmed,
    /// The network refused it.
    Rejected,
    /// Proved not taken.
    Absent,
    /// A person decided.
    Decided,
}

impl AttemptPhase {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Absent => "absent",
            Self::Decided => "decided",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Open,
            Self::Confirmed,
            Self::Rejected,
            Self::Absent,
            Self::Decided,
        ]
        .into_iter()
        .find(|phase| phase.as_str() == text)
    }
}

/// One try at a publication, committed before the call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Attempt {
    /// Own id.
    pub id: AttemptId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The publication.
    pub publication: PublicationId,
    /// From 1.
    pub n: i64,
    /// The claim under which it was made.
    pub epoch: i64,
    /// The key the network is given; the same for every try of a publication.
    pub key: String,
    /// What identifies the content when the network is asked.
    pub fingerprint: Fingerprint,
    /// When the intent was committed.
    pub intent_at: Timestamp,
    /// The call is given up at this moment.
    pub deadline_at: Timestamp,
    /// Outcome.
    pub phase: AttemptPhase,
    /// Answers seen, without tokens.
    #[serde(default)]
    pub evidence: Value,
}

/// What identifies published content among an account's posts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fingerprint {
    /// Text after normalisation; see `text::normalise`.
    pub text: String,
    /// Number of files.
    pub media: usize,
    /// Remote id it answers to.
    #[serde(default)]
    pub reply_to: Option<String>,
}
