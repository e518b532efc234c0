//! Workspaces and their members.
//!
//! Owns the shapes of `/api/v1/workspaces` down to `/members`. Invariant: a workspace always comes with
//! the role of whoever asks, so that a page never shows what would be refused.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::auth::Membership;
use crate::{
    time::Timestamp,
    workspace::{Role, User},
};

/// Makes a workspace; whoever asks becomes its owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateWorkspace {
    /// Name.
    pub name: String,
    /// IANA zone; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Changes a workspace; what is absent stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeWorkspace {
    /// Name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// IANA zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
    /// Posts need an approval before they may be published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval_required: Option<bool>,
}

/// The workspaces of the person who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkspaceList {
    /// The oldest first.
    pub items: Vec<Membership>,
}

/// A member of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberView {
    /// The person.
    pub user: User,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub since: Timestamp,
}

/// The members of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MemberList {
    /// The longest first.
    pub items: Vec<MemberView>,
}

/// Adds a person by e-mail address, or changes the role of one who is a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddMember {
    /// Address of somebody who has registered here.
    pub email: String,
    /// What they may do.
    pub role: Role,
}

/// Changes the role of a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutMember {
    /// What they may do.
    pub role: Role,
}
