//! What a network can do, as data: the manifest that connectors publish.
//!
//! Owns limits, sign-in forms and content types. Editors, checks and rules
//! read it; nothing outside `connectors` knows a network but through this.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::content::ContentType;

/// A network as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Manifest {
    /// Stable key: `mastodon`.
    pub key: String,
    /// Name people know: `Mastodon`.
    pub name: String,
    /// How an account is connected.
    pub sign_in: SignInForm,
    /// What an account may hold, such as `board` or `page`; none if it is the destination itself.
    #[serde(default)]
    pub destinations: Option<String>,
    /// Limits for each content type it takes.
    pub content: Vec<ContentRule>,
    /// Takes threads.
    pub threads: bool,
    /// Takes a first comment.
    pub first_comment: bool,
    /// How a doubtful publish is resolved.
    pub reconciliation: Reconciliation,
    /// Time after a call's deadline before the network is believed, in seconds.
    pub settle_s: u32,
    /// Remote posts can be deleted.
    pub can_delete: bool,
    /// Metrics it gives, such as `likes`.
    pub metrics: Vec<String>,
    /// Budgets of calls and money.
    #[serde(default)]
    pub budgets: Vec<Budget>,
    /// JSON Schema of `content.options`.
    #[serde(default)]
    pub options_schema: Value,
}

impl Manifest {
    /// The limits for one type, if the network takes it.
    pub fn rule(&self, kind: ContentType) -> Option<&ContentRule> {
        self.content.iter().find(|rule| rule.kind == kind)
    }
}

/// Crash classes of RELIABILITY: what lets us find out whether a call worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reconciliation {
    /// We choose the record's name; sending the same bytes again is harmless.
    ClientIdentity,
    /// A key given with the call answers with the first result for a while; listing backs it up.
    IdempotencyKey,
    /// A container or session can be asked for its state.
    TwoPhase,
    /// Equal content is refused; listing decides.
    NaturalRefusal,
    /// Own posts can be listed.
    Listing,
    /// Nothing can be asked: doubt goes to a person.
    None,
}

/// Limits for one content type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct ContentRule {
    /// The type.
    pub kind: ContentType,
    /// How text is counted and how much fits.
    pub text: TextRule,
    /// Text must not be empty.
    #[serde(default)]
    pub text_required: bool,
    /// Fewest and most files.
    #[serde(default)]
    pub media: CountRange,
    /// MIME types taken.
    #[serde(default)]
    pub mime_types: Vec<String>,
    /// Bytes for each image.
    #[serde(default)]
    pub image_bytes_max: Option<u64>,
    /// Bytes for each video.
    #[serde(default)]
    pub video_bytes_max: Option<u64>,
    /// Length of a description.
    #[serde(default)]
    pub alt_max: Option<usize>,
    /// Title limit; none if it takes no title.
    #[serde(default)]
    pub title: Option<TextRule>,
    /// Poll limits.
    #[serde(default)]
    pub poll: Option<PollRule>,
}

/// How many.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct CountRange {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

/// How text is counted and how much fits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct TextRule {
    /// Unit of `max`.
    pub unit: TextUnit,
    /// Most units.
    pub max: usize,
    /// Most bytes in UTF-8, where that is limited as well.
    #[serde(default)]
    pub bytes_max: Option<usize>,
    /// What each URL counts, whatever its length.
    #[serde(default)]
    pub url_length: Option<usize>,
    /// `@user@host` counts as `@user`.
    #[serde(default)]
    pub short_mentions: bool,
}

/// Units in which networks count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TextUnit {
    /// What people see as one character.
    Graphemes,
    /// Unicode scalar values.
    Scalars,
    /// UTF-16 code units.
    Utf16,
    /// X's weights: most are 1, CJK and emoji are 2.
    Weighted,
    /// UTF-8 bytes.
    Bytes,
}

/// Poll limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct PollRule {
    /// Fewest and most options.
    pub options: CountRange,
    /// Graphemes in an option.
    pub option_length_max: usize,
    /// Shortest time, seconds.
    pub expires_min_s: u64,
    /// Longest time, seconds.
    pub expires_max_s: u64,
}

/// So many units in a span.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Budget {
    /// What is counted: `posts`, `requests`, `points`, `usd_cents`.
    pub unit: String,
    /// Most units.
    pub max: u64,
    /// In so many seconds.
    pub per_s: u64,
    /// Counted for each `account`, `app` or `instance`.
    pub scope: String,
}

/// How an account is connected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum SignInForm {
    /// Nothing but a name is needed.
    Instant {
        /// Fields to fill in.
        fields: Vec<FormField>,
    },
    /// The person types a password or token made for us.
    Credentials {
        /// Fields to fill in.
        fields: Vec<FormField>,
    },
    /// The person is sent to the network and back.
    OAuth {
        /// Fields to fill in first, such as the instance.
        fields: Vec<FormField>,
        /// Scopes asked for.
        scopes: Vec<String>,
    },
}

/// A field of a form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FormField {
    /// Key in the request.
    pub key: String,
    /// Label people read.
    pub label: String,
    /// One sentence of help.
    pub help: String,
    /// Typed unseen and sealed at once.
    pub is_secret: bool,
    /// May be left empty.
    pub is_optional: bool,
    /// Shown as an example.
    pub placeholder: String,
}
