//! Subscribed feeds.
//!
//! Owns the shapes of `/feeds`. Invariant: what a feed wrote as HTML is shown as text unless a page
//! sanitises it: nothing here promises that it is harmless.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{id::FeedId, time::Timestamp};

/// Whether a feed is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FeedState {
    /// Polled.
    Active,
    /// Polled ever less often, since it cannot be read.
    Failing,
    /// Not polled: paused by a person, or taken away by its publisher.
    Paused,
}

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedView {
    /// Own id.
    pub id: FeedId,
    /// Address, unique in the workspace.
    pub url: String,
    /// Title as the feed gives it.
    pub title: String,
    /// Whether it is polled.
    pub state: FeedState,
    /// Seconds between polls, at the least.
    pub interval_s: i64,
    /// Polls that failed in a row.
    pub failures: i64,
    /// What went wrong, and what to do about it.
    pub problem: Option<String>,
    /// When it is polled next; none while it is paused.
    pub next_poll_at: Option<Timestamp>,
    /// When it was last polled.
    pub polled_at: Option<Timestamp>,
    /// When it was subscribed.
    pub created_at: Timestamp,
}

/// Feeds of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedList {
    /// The oldest first.
    pub items: Vec<FeedView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which feeds to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Subscribes a feed. It is read at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateFeed {
    /// Address of the feed itself.
    pub url: String,
    /// Seconds between polls, 60 to 86400; 900 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
    /// So many of the newest items that are there already become events, 0 to 50. Without it only items that
    /// appear later do.
    #[serde(default)]
    pub announce_existing: u32,
}

/// Changes a feed; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeFeed {
    /// Seconds between polls, 60 to 86400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
    /// Paused: not polled. Going on: polled at once, and what appeared meanwhile becomes events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_paused: Option<bool>,
}

/// A feed with the items seen last.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FeedDetail {
    /// The feed.
    #[serde(flatten)]
    pub feed: FeedView,
    /// The items seen last, as rules see them in `event.data.item`; at most 100.
    pub items: Vec<Value>,
}

/// What a poll by hand led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FeedPolled {
    /// The feed after the poll.
    pub feed: FeedView,
    /// Items that were new.
    pub new: usize,
    /// Known items that had changed.
    pub edited: usize,
}

/// Subscribes the feeds of an OPML list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImportFeeds {
    /// The list, as feed readers export it.
    pub opml: String,
    /// Seconds between polls, 60 to 86400; 900 without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval_s: Option<i64>,
}

/// What became of one row of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// Subscribed; it is read within a minute.
    Added,
    /// The workspace has it already.
    Known,
    /// It cannot be subscribed.
    Refused,
}

/// One row of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportRow {
    /// Counts rows from 1.
    pub row: usize,
    /// Title in the list.
    pub title: String,
    /// Address in the list.
    pub url: String,
    /// What became of it.
    pub outcome: ImportOutcome,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feed: Option<FeedId>,
}

/// What became of a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ImportReport {
    /// Feeds that were added.
    pub added: usize,
    /// Every row.
    pub rows: Vec<ImportRow>,
}
