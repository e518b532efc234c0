//! Posts and their publications.
//!
//! Owns the shapes of `/posts` and `/publications`. Invariant: every change of a post names the revision it
//! was made from, so that two people never overwrite each other unseen.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use crate::{
    content::Content,
    id::{AccountId, EventId, LabelId, QueueId, RuleId, RunId, VariantId},
    post::{Evergreen, Post, PostState},
    problem::FieldError,
    publication::{Attempt, Publication, PublicationState},
    run::RunState,
    text::TextLength,
    time::Timestamp,
};

/// A post's version for one account, as it is written.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VariantInput {
    /// Where it goes.
    pub account: AccountId,
    /// Page, board, location or channel within the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<String>,
    /// Content of its own; without it, the post's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
}

/// A calendar by which a post repeats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetRecurrence {
    /// RFC 5545, such as `FREQ=WEEKLY;BYDAY=MO,TH`.
    pub rrule: String,
    /// The local time it begins at: `2026-03-02T09:00`.
    pub start: String,
    /// IANA zone; the workspace's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// Local dates, or dates and times, at which it does not happen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<String>,
    /// Local dates, or dates and times, at which it also happens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extra: Vec<String>,
}

/// Makes a draft.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreatePost {
    /// Content for every account that has none of its own.
    pub content: Content,
    /// One for each account it goes to; may be added later.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<VariantInput>,
    /// Labels.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<LabelId>,
    /// Repeats after an interval.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evergreen: Option<Evergreen>,
    /// Repeats by a calendar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<SetRecurrence>,
}

/// Changes a post; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePost {
    /// The revision that is changed; may be given as `If-Match` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Content for every account that has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<Content>,
    /// All versions anew; an account that stays keeps its version's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variants: Option<Vec<VariantInput>>,
    /// All labels anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<LabelId>>,
    /// Repeats after an interval; `null` ends that.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub evergreen: Option<Option<Evergreen>>,
}

// Tells `null` from absence.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::<T>::deserialize(deserializer).map(Some)
}

/// Posts of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostList {
    /// The newest first.
    pub items: Vec<Post>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which posts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PostQuery {
    /// In this state.
    pub state: Option<PostState>,
    /// Going to this account.
    pub account: Option<AccountId>,
    /// With this label.
    pub label: Option<LabelId>,
    /// Containing these words in this order, in any case.
    pub q: Option<String>,
    /// Due at or after.
    pub due_from: Option<Timestamp>,
    /// Due before.
    pub due_to: Option<Timestamp>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// A post with all that became of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostDetail {
    /// The post.
    pub post: Post,
    /// Its publications by account and part.
    pub publications: Vec<PublicationDetail>,
    /// Runs that events about the post started, the newest first.
    pub runs: Vec<PostRun>,
}

/// A run that an event about a post started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostRun {
    /// The run.
    pub id: RunId,
    /// Its rule.
    pub rule: RuleId,
    /// What started it.
    pub event: EventId,
    /// Where it is.
    pub state: RunState,
    /// Why it ended, or what it waits for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
}

/// A publication with everything that was tried.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PublicationDetail {
    /// The publication.
    #[serde(flatten)]
    pub publication: Publication,
    /// The content as it was frozen.
    pub content: Content,
    /// The run that published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Each try, in order.
    pub tries: Vec<Attempt>,
    /// Each change of its state, in order.
    pub log: Vec<PublicationChange>,
}

/// A change of a publication's state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PublicationChange {
    /// From 1.
    pub seq: i64,
    /// State before.
    pub from: PublicationState,
    /// State after.
    pub to: PublicationState,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub note: String,
}

/// What a person decides about a publication that nobody else can judge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecidePublication {
    /// The decision.
    pub decision: PublicationDecision,
    /// Address of the post, for `is_live`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// The three decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PublicationDecision {
    /// It can be seen at the network.
    IsLive,
    /// It cannot: publish it.
    NotLive,
    /// Leave it.
    Drop,
}

/// Gives a post a due time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SchedulePost {
    /// A moment (`2026-03-29T09:30:00+02:00`) or a local time (`2026-03-29T09:30`).
    pub at: String,
    /// IANA zone of a local time; the workspace's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

/// Puts a post into a queue's next free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueuePost {
    /// The queue.
    pub queue: QueueId,
}

/// A post that got a due time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostScheduled {
    /// The post.
    pub post: Post,
    /// When it is due.
    pub at: Timestamp,
    /// What clocks show then.
    pub local: String,
    /// The zone of those clocks.
    pub zone: String,
    /// What was decided where clocks change, in one sentence.
    pub explanation: String,
}

/// A post that repeats by a calendar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RecurrenceSet {
    /// The post.
    pub post: Post,
    /// When it comes next; none when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NextOccurrence>,
}

/// A moment of a calendar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NextOccurrence {
    /// When.
    pub at: Timestamp,
    /// What clocks show then.
    pub local: String,
    /// What was decided where clocks change, in one sentence.
    pub explanation: String,
}

/// Sends a post back to its author.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RejectPost {
    /// Why, for the author.
    #[serde(default)]
    pub reason: String,
}

/// What became of the record of a post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostDeleted {
    /// What to know: whether something stays at the networks.
    pub note: String,
}

/// How a post fits its accounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PostProblems {
    /// One for each version, in order.
    pub variants: Vec<VariantProblems>,
    /// Nothing stands in the way.
    pub is_ready: bool,
}

/// How a post fits one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct VariantProblems {
    /// The version.
    pub variant: VariantId,
    /// The account.
    pub account: AccountId,
    /// The account's network.
    pub network: String,
    /// How much of the limit the text uses; none if the network does not take the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<TextLength>,
    /// The same for each further part of the thread.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub thread: Vec<TextLength>,
    /// What the network would refuse; pointers start at the content: `/text`.
    pub problems: Vec<FieldError>,
}

/// How many posts are in each state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostCounts {
    /// Every state, also those with none.
    pub items: Vec<PostCount>,
    /// All posts.
    pub total: i64,
}

/// How many posts are in one state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PostCount {
    /// The state.
    pub state: PostState,
    /// So many.
    pub count: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_absence_are_told_apart() {
        let absent: ChangePost = serde_json::from_str("{}").unwrap();
        let ended: ChangePost = serde_json::from_str(r#"{"evergreen": null}"#).unwrap();
        assert_eq!((absent.evergreen, ended.evergreen), (None, Some(None)));
    }
}
