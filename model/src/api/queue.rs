//! Queues of weekly slots.
//!
//! Owns the shapes of `/queues`. Invariant: weekly slots are local times; a moment that follows from one
//! comes with what was decided where clocks change.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{AccountId, PostId, QueueId},
    post::PostState,
    time::Timestamp,
};

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueView {
    /// Own id.
    pub id: QueueId,
    /// Name, unique in the workspace.
    pub name: String,
    /// Its slots pass unused.
    pub is_paused: bool,
    /// Grows with each change.
    pub generation: i64,
    /// Where its posts go unless they say otherwise.
    pub accounts: Vec<AccountId>,
    /// IANA zone of the slots.
    pub time_zone: String,
    /// The slots of a week.
    pub slots: Vec<QueueSlot>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A local time of every week.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueSlot {
    /// The day.
    pub weekday: SlotDay,
    /// `HH:MM` on the 24 hour clock.
    pub time: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum SlotDay {
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

/// Queues of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueueList {
    /// The oldest first.
    pub items: Vec<QueueView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which queues to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct QueueQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Makes a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateQueue {
    /// Name, unique in the workspace.
    pub name: String,
    /// IANA zone of the slots; the workspace's without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where its posts go unless they say otherwise.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// The slots of a week.
    #[serde(default)]
    pub slots: Vec<QueueSlot>,
}

/// Changes a queue; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeQueue {
    /// The generation that is changed; refused when there is a newer one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<i64>,
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// IANA zone of the slots.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Where its posts go unless they say otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountId>>,
    /// The slots of a week. Posts keep the moments they hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slots: Option<Vec<QueueSlot>>,
    /// Paused: its posts wait. Going on: those whose slot has passed get the next free ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_paused: Option<bool>,
}

/// A slot to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpcomingSlot {
    /// When.
    pub at: Timestamp,
    /// What clocks show then in the queue's zone.
    pub local: String,
    /// What was decided where clocks change, in one sentence.
    pub explanation: String,
    /// Clocks change here: the sentence is worth reading.
    pub is_special: bool,
    /// The post that holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub post: Option<SlotPost>,
}

/// The post in a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotPost {
    /// Its id.
    pub id: PostId,
    /// Its state.
    pub state: PostState,
    /// The beginning of its text.
    pub text: String,
}

/// Slots to come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SlotList {
    /// The next first. Moments that posts hold since before the slots were changed are among them.
    pub items: Vec<UpcomingSlot>,
}

/// How many slots to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SlotQuery {
    /// Most slots, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}
