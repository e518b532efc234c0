//! `manual`: somebody pressed the rule's button.

use serde_json::json;
use so_engine::{
    plugin::TriggerKind,
    rule::catalogue::{Discriminator, TriggerSpec},
};
use so_model::event::kind;

use crate::spec::{object, plain};

/// Somebody pressed the button, with or without input.
pub struct Manual;

impl TriggerKind for Manual {
    fn spec(&self) -> TriggerSpec {
        let sample = json!({"rule": "rule_01890a5dac96774bbcceb302099a8057",
            "user": "user_01890a5dac96774bbcceb302099a8057", "input": {"text": "Hello"}});
        TriggerSpec {
            kind: "manual".into(),
            event_kinds: vec![kind::MANUAL.into()],
            params_schema: object(json!({}), &[]),
            open_data: true,
            discriminators: vec![Discriminator::rule("data.rule")],
            ..plain(
                "manual",
                "Button",
                "Starts when somebody presses the rule's button.",
                sample,
            )
        }
    }
}
