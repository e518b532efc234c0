//! `queue.slot`: a queue's weekly slot has come.

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{object, plain, same};

/// A queue's slot has come, whether a post holds it or not.
pub struct QueueSlot;

impl TriggerKind for QueueSlot {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({
            "queue": {"id": "queue_01890a5dac96774bbcceb302099a8057", "name": "Main"}, "late_by_s": 0,
            "occurrence": {"at": "2026-11-24T08:00:00Z", "local": "2026-11-24T09:00:00",
                           "zone": "Europe/Berlin", "explanation": "on time"}
        });
        TriggerSpec {
            params_schema: object(
                json!({"queue": {"type": "string", "description": "Queue id; any if absent", "x-refers-to": "queue:id"}}),
                &[],
            ),
            discriminators: vec![same("queue", "data.queue.id")],
            ..plain(
                kind::QUEUE_SLOT,
                "Queue slot",
                "Starts when a slot of a queue comes.",
                sample,
            )
        }
    }
}
