//! `rule.call`: starts another rule with input.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::{effect::EffectKind, event::kind, id::RuleId};
use so_store::rules;

use crate::{describe, params};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-always-emits" = ["rule.called"]))]
pub struct Params {
    /// Id of the rule; it needs the trigger rule.called
    #[schemars(extend("x-refers-to" = "rule:id"))]
    rule: String,
    /// What the other rule sees as event.data.input
    #[serde(default)]
    input: Value,
}

/// Starts another rule.
pub struct RuleCall;

#[async_trait]
impl LocalAction for RuleCall {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "rule.call",
            "Call a rule",
            "Starts another rule with input and goes on without waiting for it.",
            json!({"rule": "rule_01890a5dac96774bbcceb302099a8057"}),
            &[kind::RULE_CALLED],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let id: RuleId = params::id("rule", &params.rule)?;
        let found = rules::find(cx.tx, cx.workspace, id).await?;
        let found = found.ok_or_else(|| {
            ActionError::fail("rule.not_found", format!("rule: there is no rule {id}"))
                .next_step("choose another rule in the step")
        })?;
        if !found.is_enabled {
            return Err(ActionError::fail(
                "rule.disabled",
                format!("the rule {} is switched off", found.name),
            )
            .next_step("switch it on")
            .into());
        }
        let caller = json!({"rule": cx.run.rule, "run": cx.run.id});
        cx.emit(
            kind::RULE_CALLED,
            id,
            json!({"rule": id, "caller": caller, "input": params.input}),
        );
        Ok(LocalEnd::Done(json!({"rule": id})))
    }

    async fn describe(
        &self,
        _: &mut LocalContext<'_>,
        params: &Value,
        _: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let params: Params = params::read(params.clone())?;
        Ok(describe::one(Some(EffectKind::RuleCalled {
            rule: params::id("rule", &params.rule)?,
            input: params.input,
        })))
    }
}
