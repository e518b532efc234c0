//! Uploaded files.
//!
//! Owns the shapes of `/media`. Invariant: the address of a file ends after some minutes, because whoever
//! has it may read the file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::MediaId, time::Timestamp};

/// An uploaded file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MediaView {
    /// Own id.
    pub id: MediaId,
    /// Name it was uploaded under.
    pub name: String,
    /// MIME type as found in the bytes.
    pub mime: String,
    /// Length.
    pub bytes: i64,
    /// Pixels across.
    pub width: i64,
    /// Pixels down.
    pub height: i64,
    /// Description for people who cannot see it.
    pub alt: String,
    /// Hash of the bytes in hexadecimal.
    pub sha256: String,
    /// When it was uploaded.
    pub created_at: Timestamp,
    /// Where the file can be read without a token.
    pub url: String,
    /// When that address ends.
    pub url_expires_at: Timestamp,
}

/// Files of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MediaList {
    /// The newest first.
    pub items: Vec<MediaView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which files to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Changes what is known of a file; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMedia {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Description for people who cannot see it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alt: Option<String>,
}

/// The parameters of a file's address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaLink {
    /// Seconds since 1970 at which the address ends.
    pub until: i64,
    /// Proof that the server made the address.
    pub signature: String,
}
