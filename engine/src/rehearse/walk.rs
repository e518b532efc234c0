//! The walk of a dry run through a rule's steps, on a clock of its own.
//!
//! Owns what is assumed: that calls and publications succeed, that events waited for do not come, and that no step takes
//! long. Invariant: local actions are done in the transaction that is given up, remote ones are described only.

use std::{future::Future, pin::Pin};

use serde_json::{Map, Value, json};
use so_model::{
    Timestamp,
    effect::{Effect, EffectKind, RehearsalEnd},
    event::{Cause, Event, NewEvent},
    rule::{ActionStep, Delay, OnTimeout, Step, StepBody},
    run::{ConditionTrace, Run},
};
use so_store::{StoreError, Tx};

use super::Rehearse;
use crate::{
    admit::seed_of,
    decide::{
        CompiledRule, DecisionInput, FactValues, Facts, RunFacts, TriggerFacts, WorkspaceFacts,
    },
    engine::Engine,
    facts,
    plugin::{
        Action, ActionError, DescribeContext, Described, LocalAction, LocalContext, LocalError,
        RemoteAction,
    },
    run::{end_of_delay, list_of, text_of},
    schedule::parse_duration,
};

/// Elements of a loop that are gone through; the rest is only counted.
const ELEMENTS_MAX: usize = 100;

/// Where the walk goes after a step.
enum Flow {
    Go,
    End(RehearsalEnd, Option<String>),
    Fail(Failed),
}

/// A step that failed, and which it was when it stands inside the one that is spoken of.
struct Failed {
    culprit: Option<String>,
    error: ActionError,
}

impl Flow {
    fn fail(code: &str, reason: impl Into<String>) -> Self {
        Self::of(ActionError::fail(code, reason))
    }

    fn of(error: ActionError) -> Self {
        Self::Fail(Failed {
            culprit: None,
            error,
        })
    }
}

/// What is done to one way or element after the other as if they went side by side.
#[derive(Default)]
struct Sides {
    count: usize,
    failed: usize,
    first: Option<Failed>,
}

impl Sides {
    fn note(&mut self, failed: Failed) {
        self.failed += 1;
        self.first.get_or_insert(failed);
    }

    /// The step's output, or its failure: the others went to their end.
    fn close(self, what: &str) -> Result<Value, Failed> {
        let output = json!({"count": self.count, "failed": self.failed});
        let Some(first) = self.first else {
            return Ok(output);
        };
        let step = first.culprit.as_deref().unwrap_or_default();
        let reason = format!(
            "{} of {} {what} failed; the first at step {step}: {}",
            self.failed, self.count, first.error.message
        );
        Err(Failed {
            culprit: None,
            error: ActionError::fail(first.error.code, reason),
        })
    }
}

pub(super) struct Walk<'a> {
    engine: &'a Engine,
    rule: &'a CompiledRule,
    event: &'a Event,
    workspace: &'a WorkspaceFacts,
    run: Run,
    now: Timestamp,
    vars: Map<String, Value>,
    steps: Map<String, Value>,
    item: Option<Value>,
    left: usize,
    pub(super) effects: Vec<Effect>,
}

type Walked<'f> = Pin<Box<dyn Future<Output = Result<Flow, StoreError>> + Send + 'f>>;

impl<'a> Walk<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        asked: &'a Rehearse,
        workspace: &'a WorkspaceFacts,
        run: Run,
        left: usize,
    ) -> Self {
        Self {
            engine,
            rule: &asked.rule,
            event: &asked.event,
            workspace,
            run,
            now: asked.now,
            vars: Map::new(),
            steps: Map::new(),
            item: None,
            left,
            effects: Vec::new(),
        }
    }

    /// Goes through every step.
    pub(super) async fn whole(
        &mut self,
        tx: &mut Tx,
    ) -> Result<(RehearsalEnd, Option<String>), StoreError> {
        let rule = self.rule;
        Ok(
            match self.all(tx, &rule.document.steps, "/steps".into()).await? {
                Flow::Go => (RehearsalEnd::Finished, None),
                Flow::End(end, reason) => (end, reason),
                Flow::Fail(failed) => {
                    let step = failed.culprit.unwrap_or_default();
                    let reason = format!("step {step}: {}", failed.error.message);
                    (RehearsalEnd::Failed, Some(reason))
                }
            },
        )
    }

    fn all<'f>(&'f mut self, tx: &'f mut Tx, steps: &'f [Step], base: String) -> Walked<'f> {
        Box::pin(async move {
            for (index, step) in steps.iter().enumerate() {
                let Some(left) = self.left.checked_sub(1) else {
                    let reason = "a dry run takes no more steps than this".to_owned();
                    return Ok(Flow::End(RehearsalEnd::TooLong, Some(reason)));
                };
                self.left = left;
                let path = format!("{base}/{index}");
                match self.step(tx, step, &path).await? {
                    Flow::Go => {}
                    Flow::End(end, reason) => return Ok(Flow::End(end, reason)),
                    Flow::Fail(failed) => {
                        let is_handled = !step.on_error.is_empty();
                        let culprit = failed.culprit.unwrap_or_else(|| step.id.clone());
                        let error = failed.error;
                        let told = EffectKind::Failed {
                            code: error.code.clone(),
                            reason: error.message.clone(),
                            is_handled,
                        };
                        self.tell(step, &path, told);
                        if !is_handled {
                            let culprit = Some(culprit);
                            return Ok(Flow::Fail(Failed { culprit, error }));
                        }
                        let seen =
                            json!({"step": culprit, "message": error.message, "code": error.code});
                        self.steps.insert(step.id.clone(), json!({ "error": seen }));
                        let inner = format!("{path}/on_error");
                        match self.all(tx, &step.on_error, inner).await? {
                            Flow::Go => {}
                            other => return Ok(other),
                        }
                    }
                }
            }
            Ok(Flow::Go)
        })
    }

    async fn step(&mut self, tx: &mut Tx, step: &Step, path: &str) -> Result<Flow, StoreError> {
        match &step.body {
            StepBody::Action(action) => self.action(tx, step, action, path).await,
            StepBody::If(body) => {
                let trace = self.condition(tx, &format!("{path}/if")).await?;
                let (branch, inner) = match trace.held == Some(true) {
                    true => ("then", &body.then),
                    false => ("else", &body.otherwise),
                };
                self.branch(tx, step, path, branch, inner, vec![trace])
                    .await
            }
            StepBody::Choose(body) => {
                let mut traces = Vec::new();
                for (index, branch) in body.choose.iter().enumerate() {
                    let trace = self
                        .condition(tx, &format!("{path}/choose/{index}/if"))
                        .await?;
                    let held = trace.held == Some(true);
                    traces.push(trace);
                    if held {
                        let name = format!("choose/{index}/then");
                        return self
                            .branch(tx, step, path, &name, &branch.then, traces)
                            .await;
                    }
                }
                self.branch(tx, step, path, "otherwise", &body.otherwise, traces)
                    .await
            }
            StepBody::Set(_) => match self.rendered(&format!("{path}/set")) {
                Ok(Value::Object(values)) => {
                    let names = values.keys().cloned().collect();
                    self.tell(step, path, EffectKind::VariablesSet { names });
                    self.vars.extend(values.clone());
                    self.keep(step, json!({"set": values}));
                    Ok(Flow::Go)
                }
                Ok(_) => Ok(Flow::Go),
                Err(error) => Ok(Flow::of(error)),
            },
            StepBody::Delay(body) => Ok(self.delay(step, &body.delay, path)),
            StepBody::Stop(body) => {
                let reason = match self.rendered(&format!("{path}/stop")) {
                    Ok(value) => text_of(&value["reason"]),
                    Err(error) => return Ok(Flow::of(error)),
                };
                let is_error = body.stop.error;
                let told = EffectKind::Stopped {
                    reason: reason.clone(),
                    is_error,
                };
                self.tell(step, path, told);
                let end = match is_error {
                    true => RehearsalEnd::Failed,
                    false => RehearsalEnd::Finished,
                };
                Ok(Flow::End(end, Some(reason)))
            }
            StepBody::Parallel(body) => {
                // Side by side: each begins at the same moment and sees nothing of the others, and the run goes on
                // after the last of them.
                let (began, mut latest) = (self.now, self.now);
                let before = (self.vars.clone(), self.steps.clone());
                let (mut vars, mut steps) = before.clone();
                let mut sides = Sides::default();
                for (index, branch) in body.parallel.iter().enumerate() {
                    self.now = began;
                    (self.vars, self.steps) = before.clone();
                    sides.count += 1;
                    let inner = format!("{path}/parallel/{index}");
                    match self.all(tx, branch, inner).await? {
                        Flow::Go => {}
                        Flow::Fail(failed) => sides.note(failed),
                        end @ Flow::End(..) => return Ok(end),
                    }
                    latest = latest.max(self.now);
                    add_changed(&mut vars, &before.0, &self.vars);
                    add_changed(&mut steps, &before.1, &self.steps);
                }
                self.now = latest;
                (self.vars, self.steps) = (vars, steps);
                Ok(self.closed(step, sides, "ways"))
            }
            StepBody::ForEach(body) => self.for_each(tx, step, body, path).await,
            StepBody::WaitFor(body) => {
                let event = body.wait_for.event.clone();
                let timeout = body.wait_for.timeout.clone();
                self.tell(
                    step,
                    path,
                    EffectKind::WaitedFor {
                        event,
                        timeout: timeout.clone(),
                    },
                );
                self.now = self.now.plus(parse_duration(&timeout).unwrap_or(0));
                if body.wait_for.on_timeout == OnTimeout::Fail {
                    let reason = format!("no event {} came within {timeout}", body.wait_for.event);
                    return Ok(Flow::fail("", reason));
                }
                self.keep(step, json!({"timed_out": true, "event": null}));
                Ok(Flow::Go)
            }
        }
    }

    async fn for_each(
        &mut self,
        tx: &mut Tx,
        step: &Step,
        body: &so_model::rule::ForEachStep,
        path: &str,
    ) -> Result<Flow, StoreError> {
        let items = match self.rendered(&format!("{path}/for_each")) {
            Ok(Value::Object(mut map)) => map.remove("items").unwrap_or_default(),
            Ok(value) => value,
            Err(error) => return Ok(Flow::of(error)),
        };
        let items = match list_of(items, body.for_each.longest()) {
            Ok(items) => items,
            Err(reason) => return Ok(Flow::fail("", reason)),
        };
        let count = items.len();
        self.tell(
            step,
            path,
            EffectKind::Looped {
                items: count as u64,
            },
        );
        let (began, mut latest) = (self.now, self.now);
        let outer = self.item.take();
        let mut sides = Sides {
            count,
            ..Sides::default()
        };
        for item in items.into_iter().take(ELEMENTS_MAX) {
            if body.for_each.beside() > 1 {
                self.now = began;
            }
            self.item = Some(item);
            match self.all(tx, &body.steps, format!("{path}/do")).await? {
                Flow::Go => {}
                Flow::Fail(failed) => sides.note(failed),
                end @ Flow::End(..) => {
                    self.item = outer;
                    return Ok(end);
                }
            }
            latest = latest.max(self.now);
        }
        self.item = outer;
        self.now = latest;
        Ok(self.closed(step, sides, "elements"))
    }

    fn closed(&mut self, step: &Step, sides: Sides, what: &str) -> Flow {
        match sides.close(what) {
            Ok(output) => {
                self.keep(step, output);
                Flow::Go
            }
            Err(failed) => Flow::Fail(failed),
        }
    }

    async fn branch(
        &mut self,
        tx: &mut Tx,
        step: &Step,
        path: &str,
        branch: &str,
        inner: &[Step],
        conditions: Vec<ConditionTrace>,
    ) -> Result<Flow, StoreError> {
        self.tell(
            step,
            path,
            EffectKind::BranchTaken {
                branch: branch.to_owned(),
                conditions,
            },
        );
        self.keep(step, json!({"branch": branch}));
        self.all(tx, inner, format!("{path}/{branch}")).await
    }

    fn delay(&mut self, step: &Step, delay: &Delay, path: &str) -> Flow {
        let value = match self.rendered(&format!("{path}/delay")) {
            Ok(value) => value,
            Err(error) => return Flow::of(error),
        };
        let span = text_of(&value["for"]);
        let until = match end_of_delay(delay, &value, self.now) {
            Ok(until) => until,
            Err(reason) => return Flow::fail("", reason),
        };
        self.tell(step, path, EffectKind::Waited { until, span });
        self.now = until.max(self.now);
        self.keep(step, json!({"until": until}));
        Flow::Go
    }

    async fn action(
        &mut self,
        tx: &mut Tx,
        step: &Step,
        body: &ActionStep,
        path: &str,
    ) -> Result<Flow, StoreError> {
        let Some(action) = self.engine.plugins.action(&body.action).cloned() else {
            let reason = format!("this server has no action {}", body.action);
            return Ok(Flow::fail("step.action", reason));
        };
        let params = match self.rendered(&format!("{path}/with")) {
            Ok(params) => params,
            Err(error) => return Ok(Flow::of(error)),
        };
        // A step that fails half way must leave nothing to the steps that handle it.
        tx.savepoint().await?;
        let done = match action {
            Action::Local(action) => self.local(tx, action.as_ref(), params, path).await,
            Action::Remote(action) => self.remote(tx, action.as_ref(), params).await,
        };
        let (described, events) = match done {
            Ok(done) => {
                tx.keep_savepoint().await?;
                done
            }
            Err(LocalError::Action(error)) => {
                tx.undo_to_savepoint().await?;
                return Ok(Flow::of(error));
            }
            Err(LocalError::Store(StoreError::Refused(_))) => {
                tx.undo_to_savepoint().await?;
                let reason = "the database refused the step";
                return Ok(Flow::fail("step.database", reason));
            }
            Err(LocalError::Store(error)) => return Err(error),
        };
        for what in described.effects {
            self.tell(step, path, what);
        }
        for event in events {
            let told = self.followed(event);
            self.tell(step, path, told);
        }
        self.keep(step, described.output.unwrap_or_default());
        Ok(Flow::Go)
    }

    async fn local(
        &self,
        tx: &mut Tx,
        action: &dyn LocalAction,
        params: Value,
        path: &str,
    ) -> Result<(Described, Vec<NewEvent>), LocalError> {
        let mut cx = LocalContext {
            tx,
            workspace: self.run.workspace,
            run: &self.run,
            event: self.event,
            path,
            now: self.now,
            ids: &self.engine.ids,
            scripts: self.rule.scripts(),
            events: Vec::new(),
        };
        let end = action.perform(&mut cx, params.clone()).await?;
        let mut described = action.describe(&mut cx, &params, &end).await?;
        let (crate::plugin::LocalEnd::Done(output) | crate::plugin::LocalEnd::Wait { output, .. }) =
            end;
        described.output.get_or_insert(output);
        Ok((described, cx.events))
    }

    async fn remote(
        &self,
        tx: &mut Tx,
        action: &dyn RemoteAction,
        params: Value,
    ) -> Result<(Described, Vec<NewEvent>), LocalError> {
        let mut cx = DescribeContext {
            tx,
            workspace: self.run.workspace,
            run: &self.run,
            event: self.event,
            now: self.now,
        };
        let mut described = action.describer().describe(&mut cx, params).await?;
        let sample = action.spec().sample_output;
        described.output.get_or_insert(sample);
        Ok((described, Vec::new()))
    }

    /// An event that a step causes, with the rules that listen to it.
    fn followed(&self, new: NewEvent) -> EffectKind {
        let event = Event {
            id: self.event.id,
            workspace: new.workspace,
            kind: new.kind.clone(),
            source: new.source,
            dedupe: String::new(),
            subject: new.subject.clone(),
            time: self.now,
            data: new.data,
            cause: Cause::of(self.event, self.run.id, self.run.rule),
        };
        let mut listeners: Vec<String> = self
            .engine
            .index()
            .candidates(&event)
            .into_iter()
            .filter(|(rule, trigger)| rule.triggers[*trigger].matches(&event).is_ok())
            .map(|(rule, _)| rule.document.name.clone())
            .collect();
        listeners.dedup();
        EffectKind::Followed {
            event: new.kind,
            subject: new.subject,
            listeners,
        }
    }

    async fn condition(&self, tx: &mut Tx, pointer: &str) -> Result<ConditionTrace, StoreError> {
        let Some(condition) = self.rule.condition_at(pointer) else {
            return Ok(ConditionTrace::unconditional());
        };
        let none = FactValues::default();
        let asked = self.with_facts(&none, |facts| condition.facts_needed(facts));
        let mut values = FactValues::default();
        for request in asked {
            let (rule, fact, of) = (self.rule.id, &request.fact, &request.params);
            let value = facts::fetch(tx, self.run.workspace, rule, fact, of, self.now).await?;
            values.insert(request.key, value);
        }
        Ok(self.with_facts(&values, |facts| condition.explain(facts)))
    }

    fn rendered(&self, pointer: &str) -> Result<Value, ActionError> {
        let Some(params) = self.rule.params_at(pointer) else {
            return Ok(Value::Object(Map::new()));
        };
        let none = FactValues::default();
        self.with_facts(&none, |facts| params.render(facts.context()))
            .map_err(|error| {
                let inner = error.pointer.clone().unwrap_or_default();
                ActionError::fail("step.template", format!("{pointer}{inner}: {error}"))
            })
    }

    fn with_facts<T>(&self, values: &FactValues, look: impl FnOnce(&Facts<'_>) -> T) -> T {
        let (vars, steps) = (
            Value::Object(self.vars.clone()),
            Value::Object(self.steps.clone()),
        );
        let run =
            json!({"id": self.run.id, "rule": self.run.rule, "created_at": self.run.created_at});
        let input = DecisionInput::new(self.event, self.workspace, self.now, values);
        let triggers = &self.rule.document.triggers;
        let kind = triggers
            .iter()
            .find(|trigger| trigger.id == self.run.trigger)
            .map_or("", |trigger| trigger.kind.as_str());
        let trigger = TriggerFacts {
            id: &self.run.trigger,
            kind,
        };
        let run = RunFacts {
            vars: &vars,
            steps: &steps,
            item: self.item.as_ref(),
            run: &run,
            seed: seed_of(self.event),
        };
        look(&Facts::in_run(&input, trigger, run))
    }

    fn keep(&mut self, step: &Step, output: Value) {
        self.steps
            .insert(step.id.clone(), json!({"output": output}));
    }

    fn tell(&mut self, step: &Step, path: &str, what: EffectKind) {
        self.effects
            .push(Effect::new(path, &step.id, self.now, what));
    }
}

/// Adds what one of several ways left that was not there, or was otherwise, before all of them.
fn add_changed(
    into: &mut Map<String, Value>,
    before: &Map<String, Value>,
    after: &Map<String, Value>,
) {
    let changed = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value));
    into.extend(changed.map(|(name, value)| (name.clone(), value.clone())));
}
