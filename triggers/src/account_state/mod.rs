//! `account.*`: connected accounts come, go and need repair.

use std::sync::Arc;

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{Listener, object, plain, same};

/// The kinds.
pub fn kinds() -> Vec<Arc<dyn TriggerKind>> {
    [
        (kind::ACCOUNT_CONNECTED, "Account connected", "Starts when an account is connected or repaired."),
        (kind::ACCOUNT_RECONNECT_REQUIRED, "Account needs to be reconnected", "Starts when a network no longer accepts an account's token."),
        (kind::ACCOUNT_DISABLED, "Account disabled", "Starts when an account is paused or removed."),
    ]
    .into_iter()
    .map(|(name, title, description)| {
        let sample = json!({"account": {"id": "acct_01890a5dac96774bbcceb302099a8057", "network": "mastodon",
            "name": "Ann", "handle": "@ann@m.example"}, "reason": "the token was revoked"});
        Arc::new(Listener(TriggerSpec {
            params_schema: object(json!({"account": {"type": "string", "description": "Account id; any if absent", "x-refers-to": "account:id"}}), &[]),
            discriminators: vec![same("account", "data.account.id")],
            ..plain(name, title, description, sample)
        })) as Arc<dyn TriggerKind>
    })
    .collect()
}
