//! `rule.call`: starts another rule with input, and waits for its outcome if asked to.
//!
//! Invariant: one call is one event, whatever happens between; the run that it started is found through it.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
};
use so_model::{
    effect::EffectKind,
    event::{Event, NewEvent, kind},
    id::RuleId,
    run::RunState,
};
use so_store::{decisions, events, rules, runs, runs::RunFilter};

use crate::{describe, params};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-always-emits" = ["rule.called"]))]
pub struct Params {
    /// Id of the rule; it needs the trigger rule.called
    #[schemars(extend("x-refers-to" = "rule:id"))]
    rule: String,
    /// What the other rule sees as event.data.input; of the types that its inputs name
    #[serde(default)]
    input: Value,
    /// Goes on when the other rule has come to its end, and fails if it failed
    #[serde(default)]
    wait: bool,
}

/// Source and delivery id of the call that a step makes: the same for every try.
fn call_of(cx: &LocalContext<'_>) -> (String, String) {
    (format!("call/{}", cx.run.id), cx.path.to_owned())
}

async fn take_input(
    cx: &mut LocalContext<'_>,
    rule: RuleId,
    version: i64,
    given: Value,
) -> Result<Value, LocalError> {
    let version = rules::find_version(cx.tx, cx.workspace, rule, version).await?;
    let Some(version) = version else {
        return Ok(given);
    };
    version
        .document
        .take_input(given, true)
        .map_err(|problems| {
            let told: Vec<String> = problems
                .iter()
                .map(|one| format!("{} (expected: {})", one.reason, one.expected))
                .collect();
            ActionError::fail("rule.input", format!("input: {}", told.join("; ")))
                .next_step("change the step's input, or the inputs of the called rule")
                .into()
        })
}

/// Why a call started nothing.
async fn not_started(cx: &mut LocalContext<'_>, event: &Event) -> Result<ActionError, LocalError> {
    let told = decisions::list_for_event(cx.tx, cx.workspace, event.id).await?;
    let reason = told.into_iter().next().map_or_else(
        || "it has no trigger `rule.called`".to_owned(),
        |told| told.decision.reason,
    );
    let error = ActionError::fail(
        "rule.not_started",
        format!("the called rule did not start: {reason}"),
    );
    Ok(error.next_step("look at its condition and its mode"))
}

/// Starts another rule.
pub struct RuleCall;

#[async_trait]
impl LocalAction for RuleCall {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "rule.call",
            "Call a rule",
            "Starts another rule with input, and waits for its outcome if it should.",
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
        let input = take_input(cx, id, found.version, params.input).await?;
        let mut caller = json!({"rule": cx.run.rule, "run": cx.run.id});
        if params.wait {
            caller["waits"] = json!(true);
        }
        let data = json!({"rule": id, "caller": caller, "input": input});
        let (source, dedupe) = call_of(cx);
        let event = NewEvent::new(cx.workspace, kind::RULE_CALLED, data)
            .from_source(source, dedupe)
            .about(id);
        cx.events.push(event);
        if params.wait {
            return Ok(LocalEnd::Wait {
                reason: format!("waits for the rule {}", found.name),
                output: json!({"rule": id}),
            });
        }
        Ok(LocalEnd::Done(json!({"rule": id})))
    }

    async fn resume(
        &self,
        cx: &mut LocalContext<'_>,
        _: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        let (source, dedupe) = call_of(cx);
        let event = events::find_delivery(cx.tx, cx.workspace, &source, &dedupe).await?;
        let Some(event) = event else {
            let reason = "the event of the call is gone, so its outcome is not known";
            return Err(ActionError::fail("rule.outcome_unknown", reason).into());
        };
        let event_id = event.id.to_string();
        let filter = RunFilter {
            event: &event_id,
            ..RunFilter::default()
        };
        let Some(run) = runs::list(cx.tx, cx.workspace, &filter, 1).await?.pop() else {
            return Err(not_started(cx, &event).await?.into());
        };
        let reason = run.reason.clone().unwrap_or_default();
        match run.state {
            RunState::Finished => Ok(LocalEnd::Done(json!({
                "rule": run.rule, "run": run.id, "state": run.state, "reason": run.reason
            }))),
            RunState::Failed | RunState::Cancelled => Err(ActionError::fail(
                "rule.failed",
                format!("the called run {} {}: {reason}", run.id, run.state.as_str()),
            )
            .next_step("look at the page of that run")
            .into()),
            // It can never start: what it waits behind waits for it.
            RunState::Queued
                if cx.run.rule == run.rule || cx.event.cause.rules.contains(&run.rule) =>
            {
                Err(ActionError::fail(
                    "rule.waits_for_itself",
                    "the called rule takes one run at a time, and that one waits for this call",
                )
                .next_step("call it without waiting, or give its mode a key")
                .into())
            }
            _ => Ok(LocalEnd::Wait {
                reason: format!("waits for the run {}", run.id),
                output: waited,
            }),
        }
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
            input: so_engine::run::shorten(params.input),
        })))
    }
}
