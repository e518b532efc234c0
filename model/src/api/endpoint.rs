//! Outbound webhook addresses.
//!
//! Owns the shapes of `/endpoints`. Invariant: a signing secret leaves the server once, in the answer that
//! made it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{id::EndpointId, time::Timestamp};

/// An outbound webhook address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointView {
    /// Own id.
    pub id: EndpointId,
    /// Name.
    pub name: String,
    /// Address.
    pub url: String,
    /// Whether anything is sent.
    pub is_enabled: bool,
    /// What went wrong, for people.
    pub problem: Option<String>,
    /// Since when every delivery fails.
    pub failing_since: Option<Timestamp>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Outbound webhook addresses of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointList {
    /// The oldest first.
    pub items: Vec<EndpointView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which addresses to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EndpointQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Makes an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateEndpoint {
    /// Name.
    pub name: String,
    /// Address.
    pub url: String,
}

/// Changes an address; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeEndpoint {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Whether anything is sent. Switching it on forgets the problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_enabled: Option<bool>,
}

/// An address with its new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointSecret {
    /// The address.
    #[serde(flatten)]
    pub endpoint: EndpointView,
    /// What deliveries are signed with, as Standard Webhooks says. It is shown this once.
    pub secret: String,
}

/// What a test delivery led to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EndpointTested {
    /// The receiver took it.
    pub is_delivered: bool,
    /// What it answered; none when it could not be reached.
    pub status: Option<u16>,
    /// What went wrong, for people.
    pub problem: Option<String>,
}
