//! `[auth]`: who may register, how long a session lasts, the master keys.

use serde::{Deserialize, Serialize};
use so_store::vault;

use super::Problems;

/// Settings of signing in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthConfig {
    /// Who may register.
    pub registration: Registration,
    /// A session ends so long after signing in, whatever happens.
    pub session_days: u64,
    /// A session ends when it was not used for so long.
    pub session_idle_days: u64,
    /// Base64 keys that seal secrets, the current one first; without it, the key file.
    pub master_keys: Option<String>,
}

/// Who may register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// Everybody who reaches the server.
    #[default]
    Open,
    /// Only the first person of a new instance.
    First,
    /// Nobody; people are made by `user create`.
    Closed,
}

impl Default for AuthConfig {
    fn default() -> Self {
        Self {
            registration: Registration::default(),
            session_days: 30,
            session_idle_days: 7,
            master_keys: None,
        }
    }
}

impl AuthConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        problems.check_range("auth.session_days", self.session_days, 1, 365);
        problems.check_range("auth.session_idle_days", self.session_idle_days, 1, 365);
        if let Some(Err(error)) = self.master_keys.as_deref().map(vault::parse_keys) {
            problems.add("auth.master_keys", error);
        }
    }
}
