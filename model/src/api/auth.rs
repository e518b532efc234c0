//! Registering, logging in, sessions and oneself.
//!
//! Owns the shapes of `/api/v1/auth` and `/api/v1/me`. Never holds a refresh token: that travels in a
//! cookie only, out of reach of scripts.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    id::SessionId,
    time::Timestamp,
    workspace::{Role, User, Workspace},
};

/// Makes an account for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// Name shown to others.
    pub name: String,
    /// E-mail address; the case of letters does not matter.
    pub email: String,
    /// At least 8 characters.
    pub password: String,
    /// IANA zone of the first workspace; UTC without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_zone: Option<String>,
}

/// Opens a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LogIn {
    /// E-mail address.
    pub email: String,
    /// Password.
    pub password: String,
}

/// Changes the password and ends every other session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The present one.
    pub current: String,
    /// The one to come.
    pub new: String,
}

/// Changes what others see of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeMe {
    /// Name shown to others.
    pub name: String,
}

/// What a program needs to speak for a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Tokens {
    /// Goes into `Authorization: Bearer …`.
    pub access_token: String,
    /// Always `Bearer`.
    pub token_type: String,
    /// Seconds until the access token ends.
    pub expires_in: i64,
}

/// The answer of registering, logging in and refreshing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignedIn {
    /// The access token.
    #[serde(flatten)]
    pub tokens: Tokens,
    /// Who signed in, and where they belong.
    #[serde(flatten)]
    pub me: Me,
}

/// A workspace with the role of the person who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Membership {
    /// The workspace.
    pub workspace: Workspace,
    /// What the person may do there.
    pub role: Role,
}

/// The person who asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Me {
    /// The person.
    pub user: User,
    /// Workspaces the person is a member of, the oldest first.
    pub workspaces: Vec<Membership>,
}

/// One signed-in browser or program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionView {
    /// Own id.
    pub id: SessionId,
    /// What the browser calls itself.
    pub user_agent: String,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When the session was last prolonged.
    pub last_used_at: Timestamp,
    /// When it ends at the latest.
    pub expires_at: Timestamp,
    /// This is the session that asks.
    pub is_current: bool,
}

/// The live sessions of a person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SessionList {
    /// The newest first.
    pub items: Vec<SessionView>,
}
