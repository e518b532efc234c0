//! Connected accounts.
//!
//! Invariant: no token is ever part of an account; secrets are sealed rows of
//! their own that only the worker opens.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    id::{AccountId, WorkspaceId},
    time::Timestamp,
};

/// Whether an account can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AccountState {
    /// Works.
    Active,
    /// The network no longer accepts the token; posts wait.
    ReconnectRequired,
    /// Switched off by a person; posts wait.
    Paused,
    /// Removed; kept for the history.
    Removed,
}

impl AccountState {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::ReconnectRequired => "reconnect_required",
            Self::Paused => "paused",
            Self::Removed => "removed",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [
            Self::Active,
            Self::ReconnectRequired,
            Self::Paused,
            Self::Removed,
        ]
        .into_iter()
        .find(|state| state.as_str() == text)
    }
}

/// A connected account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Account {
    /// Own id.
    pub id: AccountId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Key of the network's manifest.
    pub network: String,
    /// The network's own id for it; survives a change of handle.
    pub remote_id: String,
    /// Name shown.
    pub name: String,
    /// Handle such as `@ann@m.example`.
    pub handle: String,
    /// Picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
    /// Whether it can be used.
    pub state: AccountState,
    /// What went wrong, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Base address for networks of many hosts, and limits read from there. No secret.
    #[serde(default)]
    pub settings: Value,
    /// Pages, boards, locations or channels it may post to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub destinations: Vec<Destination>,
    /// When its token ends, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_expires_at: Option<Timestamp>,
    /// When it was connected.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A page, organisation, board, location or channel of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Destination {
    /// The network's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is: `page`, `board`…
    pub kind: String,
}
