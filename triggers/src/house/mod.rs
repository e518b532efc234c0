//! The house's own events: missed schedules and disabled webhook addresses.

use std::sync::Arc;

use serde_json::json;
use so_engine::plugin::TriggerKind;
use so_model::event::kind;

use crate::spec::{Listener, plain};

/// The kinds.
pub fn kinds() -> Vec<Arc<dyn TriggerKind>> {
    let missed = json!({"rule": "rule_01890a5dac96774bbcceb302099a8057", "trigger": "start", "late_by_s": 7200,
        "occurrence": {"at": "2026-11-24T08:00:00Z", "local": "2026-11-24T09:00:00",
                       "zone": "Europe/Berlin", "explanation": "on time"}});
    let disabled = json!({"endpoint": {"id": "ep_01890a5dac96774bbcceb302099a8057", "name": "CRM",
        "url": "https://example.com/hook"}, "reason": "the address answered 410 Gone"});
    vec![
        Arc::new(Listener(plain(
            kind::TIME_MISSED,
            "Schedule missed",
            "Starts when a schedule whose policy is “ask” was missed while the server was down.",
            missed,
        ))),
        Arc::new(Listener(plain(
            kind::ENDPOINT_DISABLED,
            "Webhook address disabled",
            "Starts when an outbound webhook address is switched off because it is gone.",
            disabled,
        ))),
    ]
}
