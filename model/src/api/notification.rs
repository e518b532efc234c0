//! Messages to people inside the product.
//!
//! Owns the shapes of `/notifications`. Invariant: a message is read for the whole workspace: whoever reads
//! it first has taken it on.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::NotificationId, time::Timestamp};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationView {
    /// Own id.
    pub id: NotificationId,
    /// `info`, `warning` or `error`.
    pub level: String,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// Page that it is about.
    pub link: Option<String>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was first read.
    pub read_at: Option<Timestamp>,
}

/// Messages of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationList {
    /// The newest first.
    pub items: Vec<NotificationView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
    /// How many are unread, on every page together.
    pub unread: i64,
}

/// Which messages to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NotificationQuery {
    /// Only those that nobody has read.
    #[serde(default)]
    pub unread: bool,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// How many messages are unread.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unread {
    /// That many.
    pub unread: i64,
}
