//! Connected accounts and signing in at networks.
//!
//! Owns the shapes of `/accounts`. Invariant: no answer has a place for a token.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::account::Account;

/// Accounts of a workspace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountList {
    /// The oldest first.
    pub items: Vec<Account>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which accounts to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AccountQuery {
    /// Removed ones too.
    pub removed: Option<bool>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Begins connecting an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BeginSignIn {
    /// Key of the network's manifest.
    pub network: String,
    /// The fields that the network's manifest asks for.
    #[serde(default)]
    pub form: Map<String, Value>,
}

/// Begins connecting an account again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Reconnect {
    /// The fields that the network's manifest asks for.
    #[serde(default)]
    pub form: Map<String, Value>,
}

/// What the beginning of a sign-in leads to: exactly one of the two is there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SignInBegun {
    /// The account is connected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// The person has to go to the network in the same browser; it sends them back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
}

/// What the network said when it was asked about an account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AccountCheck {
    /// The account as it is now.
    pub account: Account,
    /// The network accepts the account's token.
    pub works: bool,
    /// What is wrong and what to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}
