//! `run.failed`: a run of some rule ended in an error.

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{object, plain, same};

/// A run ended in an error.
pub struct RunFailed;

impl TriggerKind for RunFailed {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({"run": {
            "id": "run_01890a5dac96774bbcceb302099a8057", "rule": "rule_01890a5dac96774bbcceb302099a8057",
            "rule_name": "Blog to queue", "reason": "step create: the account does not exist",
            "event": "evt_01890a5dac96774bbcceb302099a8057"}});
        TriggerSpec {
            params_schema: object(
                json!({"rule": {"type": "string", "description": "Rule id; any if absent", "x-refers-to": "rule:id"}}),
                &[],
            ),
            discriminators: vec![same("rule", "data.run.rule")],
            ..plain(
                kind::RUN_FAILED,
                "Run failed",
                "Starts when a run of a rule ends in an error.",
                sample,
            )
        }
    }
}
