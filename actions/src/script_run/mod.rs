//! `script.run`: computes a value with a script.
//!
//! Invariant: a script is pure: the same event and input give the same value.

use async_trait::async_trait;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use so_engine::{
    plugin::{ActionError, Described, LocalAction, LocalContext, LocalEnd, LocalError},
    rule::ActionSpec,
    script::{EvalContext, PreparedContext, ScriptError, ScriptOutcome},
};
use so_model::effect::EffectKind;

use crate::{describe, params};

/// Parameters.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {
    /// The script; its last expression is the value
    #[schemars(extend("format" = "rhai"))]
    source: String,
    /// What the script sees as vars.input; texts may hold templates
    #[serde(default)]
    input: Value,
}

/// Computes a value with a script, in the sandbox of the rule that has the step.
#[derive(Default)]
pub struct ScriptRun {
    /// Whoever carries the run on serves nobody else, so scripts need no thread of their own.
    pub is_alone: bool,
}

fn context(cx: &LocalContext<'_>, input: Value) -> EvalContext {
    let event = cx.event;
    let mut vars = Map::new();
    vars.insert(
        "event".into(),
        json!({"id": event.id, "kind": event.kind, "source": event.source, "subject": event.subject,
               "time": event.time, "data": event.data}),
    );
    vars.insert("vars".into(), json!({"input": input}));
    vars.insert("run".into(), json!({"id": cx.run.id, "rule": cx.run.rule}));
    // Equal for every try of this run, so that chance repeats as well.
    EvalContext {
        now_micros: cx.now.micros(),
        seed: cx.run.id.uuid().as_u64_pair().1,
        vars,
    }
}

fn told(error: &ScriptError) -> ActionError {
    let place = match (error.line, error.column) {
        (Some(line), Some(column)) => format!("source, line {line}, column {column}: "),
        _ => "source: ".to_owned(),
    };
    let next = match &error.suggestion {
        Some(name) => format!("did you mean {name}?"),
        None => "change the script".to_owned(),
    };
    ActionError::fail("script.failed", format!("{place}{}", error.message)).next_step(next)
}

#[async_trait]
impl LocalAction for ScriptRun {
    fn spec(&self) -> ActionSpec {
        params::spec::<Params>(
            "script.run",
            "Run a script",
            "Computes a value with a script that has no effects; its input is vars.input.",
            json!({"value": null, "printed": ["a line"]}),
            &[],
        )
    }

    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError> {
        let params: Params = params::read(params)?;
        let context = context(cx, params.input);
        let scripts = cx.scripts.clone();
        let run = move || -> Result<ScriptOutcome, ScriptError> {
            let script = scripts.compile_script(&params.source)?;
            scripts.run_script(&script, &PreparedContext::new(&context))
        };
        let ran = match self.is_alone {
            true => Ok(run()),
            // A script may compute up to its deadline, which is too long for a thread that serves others.
            false => tokio::task::spawn_blocking(run).await,
        };
        match ran {
            Ok(Ok(outcome)) => Ok(LocalEnd::Done(
                json!({"value": outcome.value, "printed": outcome.printed}),
            )),
            Ok(Err(error)) => Err(told(&error).into()),
            Err(_) => {
                Err(ActionError::fail("script.failed", "source: the script was stopped").into())
            }
        }
    }

    async fn describe(
        &self,
        _: &mut LocalContext<'_>,
        _: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let (LocalEnd::Done(output) | LocalEnd::Wait { output, .. }) = end;
        Ok(describe::one(Some(EffectKind::ScriptRan {
            output: so_engine::run::shorten(output["value"].clone()),
        })))
    }
}
