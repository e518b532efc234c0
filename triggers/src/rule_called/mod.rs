//! `rule.called`: another rule called this one with `rule.call`.

use serde_json::json;
use so_engine::{
    plugin::TriggerKind,
    rule::catalogue::{Discriminator, TriggerSpec},
};
use so_model::event::kind;

use crate::spec::plain;

/// Another rule called, with input.
pub struct RuleCalled;

impl TriggerKind for RuleCalled {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({"rule": "rule_01890a5dac96774bbcceb302099a8057",
            "caller": {"rule": "rule_01890a5dac96774bbcceb302099a8057", "run": "run_01890a5dac96774bbcceb302099a8057"},
            "input": {"text": "Hello"}});
        TriggerSpec {
            open_data: true,
            discriminators: vec![Discriminator::rule("data.rule")],
            ..plain(
                kind::RULE_CALLED,
                "Called by a rule",
                "Starts when another rule calls this one.",
                sample,
            )
        }
    }
}
