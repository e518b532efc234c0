//! People, workspaces and what a role may do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::{UserId, WorkspaceId},
    time::Timestamp,
};

/// Roles, from most to least powerful.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Reads.
    Viewer,
    /// Writes posts, queues and feeds.
    Editor,
    /// Manages accounts, rules, hooks and people.
    Admin,
    /// Everything, and cannot be the last to leave.
    Owner,
}

impl Role {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Editor => "editor",
            Self::Admin => "admin",
            Self::Owner => "owner",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Viewer, Self::Editor, Self::Admin, Self::Owner]
            .into_iter()
            .find(|r| r.as_str() == text)
    }
}

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Workspace {
    /// Own id.
    pub id: WorkspaceId,
    /// Name.
    pub name: String,
    /// IANA zone for civil times without one of their own.
    pub time_zone: String,
    /// Posts need an approval before they may be published.
    #[serde(default)]
    pub approval_required: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct User {
    /// Own id.
    pub id: UserId,
    /// E-mail address, lower case.
    pub email: String,
    /// Name shown.
    pub name: String,
    /// When the person registered.
    pub created_at: Timestamp,
}
