//! What a post says: shaped on all thirteen networks at once.
//!
//! Owns the eleven content types, threads and first comments. Never knows a
//! network: what only one network has travels in `options`, checked by the
//! JSON Schema of that network's manifest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::MediaId;

/// The eleven content types.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum ContentType {
    /// Text alone.
    #[default]
    Status,
    /// Text with a link shown as a card.
    Link,
    /// One or several photos.
    Photo,
    /// A video.
    Video,
    /// A vertical video in the network's reel format.
    Reel,
    /// Disappears after a day.
    Story,
    /// A video in the network's short format.
    Short,
    /// A question with options.
    Poll,
    /// A paged document.
    Document,
    /// Several pictures or videos to swipe.
    Carousel,
    /// A long text with a title.
    Article,
}

impl ContentType {
    /// All eleven, in the order shown.
    pub const ALL: [Self; 11] = [
        Self::Status,
        Self::Link,
        Self::Photo,
        Self::Video,
        Self::Reel,
        Self::Story,
        Self::Short,
        Self::Poll,
        Self::Document,
        Self::Carousel,
        Self::Article,
    ];
}

/// What is to be published.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Content {
    /// The type.
    pub kind: ContentType,
    /// The text; each network counts it in its own way.
    pub text: String,
    /// Title of a video, article, document or pin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Card to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkCard>,
    /// Uploaded files in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<MediaUse>,
    /// Question.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub poll: Option<Poll>,
    /// Further parts, each published as an answer to the one before.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub thread: Vec<ThreadPart>,
    /// Comment placed under the post once it is live.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_comment: Option<String>,
    /// Warning shown before the content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_warning: Option<String>,
    /// BCP 47 tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// Who may see it, where the network lets one choose: `public`, `unlisted`, `followers`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub visibility: Option<String>,
    /// What one network alone has, such as a board or a privacy level.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub options: Map<String, Value>,
}

impl Content {
    /// Text alone.
    pub fn status(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            ..Self::default()
        }
    }
}

/// A link shown as a card.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinkCard {
    /// Where it leads.
    pub url: String,
    /// Headline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Text below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<MediaId>,
}

/// A file as used in one post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MediaUse {
    /// The file.
    pub id: MediaId,
    /// Description for people who cannot see it.
    #[serde(default)]
    pub alt: String,
}

/// A question with options.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// The options.
    pub options: Vec<String>,
    /// Seconds until it closes.
    pub expires_in_s: u64,
    /// Several answers allowed.
    #[serde(default)]
    pub multiple: bool,
    /// Counts hidden until it closes.
    #[serde(default)]
    pub hide_totals: bool,
}

/// A further part of a thread.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ThreadPart {
    /// The text.
    pub text: String,
    /// Files.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub media: Vec<MediaUse>,
}
