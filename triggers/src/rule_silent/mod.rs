//! `rule.silent`: a rule did not start for longer than it should.

use serde_json::json;
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{object, plain, same};

/// A rule did not start for longer than its `silent_after`.
pub struct RuleSilent;

impl TriggerKind for RuleSilent {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({
            "rule": {"id": "rule_01890a5dac96774bbcceb302099a8057", "name": "Blog to queue"},
            "last_start": "2026-05-01T09:00:00Z", "silent_for_s": 172_800, "expected_within_s": 86_400,
            "is_learned": false});
        TriggerSpec {
            params_schema: object(
                json!({"rule": {"type": "string", "description": "Rule id; any if absent", "x-refers-to": "rule:id"}}),
                &[],
            ),
            discriminators: vec![same("rule", "data.rule.id")],
            ..plain(
                kind::RULE_SILENT,
                "Rule silent",
                "Starts when a rule did not start for longer than its silent_after, once for each silence.",
                sample,
            )
        }
    }
}
