//! Inbound webhooks.
//!
//! Owns the shapes of `/hooks` and of the answer of `/in/{token}`. Invariant: a signing secret leaves the
//! server once, in the answer that made it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{EventId, HookId},
    time::Timestamp,
};

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SignatureEncoding {
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// How a hook's calls are verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "scheme", rename_all = "snake_case", deny_unknown_fields)]
pub enum HookVerify {
    /// The secret address is enough.
    None {},
    /// A header holds an HMAC-SHA256 of the body under the hook's secret.
    Hmac {
        /// Header name, such as `x-hub-signature-256`.
        header: String,
        /// Text before the signature, such as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// How the signature is written.
        encoding: SignatureEncoding,
    },
    /// Headers `webhook-id`, `webhook-timestamp`, `webhook-signature` of Standard Webhooks.
    StandardWebhooks {},
}

/// An inbound webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookView {
    /// Own id.
    pub id: HookId,
    /// Name.
    pub name: String,
    /// How calls are verified.
    pub verify: HookVerify,
    /// Whether calls are taken.
    pub is_enabled: bool,
    /// When the last call came.
    pub sample_at: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Inbound webhooks of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookList {
    /// The oldest first.
    pub items: Vec<HookView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which webhooks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HookQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// A webhook with its last call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookDetail {
    /// The webhook.
    #[serde(flatten)]
    pub hook: HookView,
    /// Where to send calls; for admins only, since whoever knows it can call.
    pub url: Option<String>,
    /// The last call as rules see it in `event.data`, without credentials.
    pub sample: Option<Value>,
}

/// Makes a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateHook {
    /// Name.
    pub name: String,
    /// How calls are verified; by the secret address alone without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HookVerify>,
    /// The secret that the sender signs with, where the sender chooses it; made here without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// Changes a webhook; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeHook {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How calls are verified. The secret stays; rotate it if it does not fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<HookVerify>,
    /// Whether calls are taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// Replaces address or secret; the old ones stop working at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RotateHook {
    /// Makes a new address.
    #[serde(default)]
    pub address: bool,
    /// Makes a new secret.
    #[serde(default)]
    pub secret: bool,
}

/// A webhook with what the sender must know.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HookSecrets {
    /// The webhook.
    #[serde(flatten)]
    pub hook: HookView,
    /// Where to send calls.
    pub url: String,
    /// What to sign with. It is shown this once; none when it is unchanged or not needed.
    pub secret: Option<String>,
}

/// A call was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The event it became; the first call's when this was a repetition.
    pub event: EventId,
}
