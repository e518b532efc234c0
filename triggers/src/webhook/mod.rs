//! `webhook.received`: somebody called a secret address of ours.
//!
//! Owns the verification of calls: nothing, an HMAC over the body, or Standard
//! Webhooks. Never stores anything. Invariant: comparisons take constant time.

mod verify;

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{object, plain, same};

pub use verify::{
    HmacEncoding, Verification, VerifyError, dedupe_id, new_signing_secret, sign, verify,
};

/// An inbound webhook was called.
pub struct WebhookReceived;

impl TriggerKind for WebhookReceived {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({
            "hook": {"id": "hook_01890a5dac96774bbcceb302099a8057", "name": "Shop"},
            "body": {"id": "1001", "text": "New in the shop", "likes": 120},
            "headers": {"content-type": "application/json"}, "query": {}
        });
        TriggerSpec {
            params_schema: object(
                json!({"hook": {"type": "string", "description": "Hook id; any if absent", "x-refers-to": "hook:id"}}),
                &[],
            ),
            open_data: true,
            discriminators: vec![same("hook", "data.hook.id")],
            ..plain(
                kind::WEBHOOK_RECEIVED,
                "Webhook",
                "Starts when an inbound webhook is called.",
                sample,
            )
        }
    }
}
