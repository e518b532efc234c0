//! A rule made ready: triggers, conditions and templates by their place.
//!
//! Owns the compiled form, which is never stored: it is made from the pinned
//! document. Must not run steps. Invariant: whatever `rule::validate` accepted
//! compiles, and everything compiled is reachable by its JSON pointer.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use so_model::{
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::{ActionStep, RuleDocument, Step, StepBody},
};

use crate::{
    rule::{Catalogue, join, script_error, script_params},
    script::{PreparedContext, ScriptEngine, ScriptError, Template, TemplateTree},
};

use super::{
    condition::Condition,
    facts::{Facts, TriggerFacts},
    trigger::CompiledTrigger,
};

/// Longest key kept as it is; keys are compared and indexed in the store.
const MAX_KEY: usize = 200;

/// A rule, compiled.
#[derive(Debug, Clone)]
pub struct CompiledRule {
    /// The rule.
    pub id: RuleId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// The version that was compiled.
    pub version: i64,
    /// The document.
    pub document: Arc<RuleDocument>,
    /// Triggers in the document's order.
    pub triggers: Vec<CompiledTrigger>,
    pub(super) condition: Option<Condition>,
    conditions: HashMap<String, Condition>,
    params: HashMap<String, Params>,
    keys: Keys,
    scripts: ScriptEngine,
}

/// Parameters of a step: templates, and scripts left as they are written.
#[derive(Debug, Clone)]
pub struct Params {
    tree: TemplateTree,
    raw: Map<String, Value>,
}

impl Params {
    /// Renders the templates.
    pub fn render(&self, context: &PreparedContext) -> Result<Value, ScriptError> {
        let mut value = self.tree.render(context)?;
        if let Value::Object(map) = &mut value {
            map.extend(self.raw.clone());
        }
        Ok(value)
    }
}

#[derive(Debug, Clone, Default)]
struct Keys {
    mode: Option<Key>,
    throttle: Option<Key>,
    debounce: Option<Key>,
    dedupe: Option<Key>,
}

#[derive(Debug, Clone)]
struct Key {
    template: Template,
    uses_trigger: bool,
}

impl CompiledRule {
    /// Compiles a document. All mistakes are told.
    pub fn compile(
        id: RuleId,
        workspace: WorkspaceId,
        version: i64,
        document: Arc<RuleDocument>,
        catalogue: &Catalogue,
        scripts: &ScriptEngine,
    ) -> Result<Self, Vec<FieldError>> {
        let mut compiler = Compiler {
            catalogue,
            scripts,
            conditions: HashMap::new(),
            params: HashMap::new(),
            errors: Vec::new(),
        };
        let triggers = compiler.triggers(&document, id);
        let condition = document.condition.as_ref().and_then(|condition| {
            let compiled = Condition::compile(condition, "/if", scripts);
            compiler.kept(compiled)
        });
        compiler.steps(&document.steps, "/steps");
        let keys = Keys {
            mode: compiler.key(document.mode.key.as_deref(), "/mode/key"),
            throttle: compiler.key(
                document.throttle.as_ref().and_then(|t| t.key.as_deref()),
                "/throttle/key",
            ),
            debounce: compiler.key(
                document.debounce.as_ref().and_then(|d| d.key.as_deref()),
                "/debounce/key",
            ),
            dedupe: compiler.key(
                document.dedupe.as_ref().map(|d| d.key.as_str()),
                "/dedupe/key",
            ),
        };
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Self {
            id,
            workspace,
            version,
            triggers,
            condition,
            conditions: compiler.conditions,
            params: compiler.params,
            keys,
            document,
            scripts: scripts.clone(),
        })
    }

    /// The sandbox of its scripts, with the library that they call.
    pub fn scripts(&self) -> &ScriptEngine {
        &self.scripts
    }

    /// The condition of the rule itself.
    pub fn condition(&self) -> Option<&Condition> {
        self.condition.as_ref()
    }

    /// A step's condition: `/steps/1/if`, `/steps/2/choose/0/if`.
    pub fn condition_at(&self, pointer: &str) -> Option<&Condition> {
        self.conditions.get(pointer)
    }

    /// A step's templates: `/steps/0/with`, `/steps/1/set`, `/steps/2/delay`,
    /// `/steps/3/stop`.
    pub fn params_at(&self, pointer: &str) -> Option<&Params> {
        self.params.get(pointer)
    }

    /// The trigger as conditions and scripts see it.
    pub fn trigger_facts(&self, trigger: usize) -> TriggerFacts<'_> {
        let found = self.triggers.get(trigger);
        TriggerFacts {
            id: found.map_or("", |trigger| &trigger.id),
            kind: found.map_or("", |trigger| &trigger.kind),
        }
    }

    /// Runs with different mode keys do not hinder each other; no key is one for all.
    pub fn mode_key(&self, facts: &Facts<'_>) -> Result<String, ScriptError> {
        Ok(render(self.keys.mode.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key of the throttle.
    pub fn throttle_key(&self, facts: &Facts<'_>) -> Result<String, ScriptError> {
        Ok(render(self.keys.throttle.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key of the debounce.
    pub fn debounce_key(&self, facts: &Facts<'_>) -> Result<String, ScriptError> {
        Ok(render(self.keys.debounce.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key that runs once; none when the rule has no dedupe.
    pub fn dedupe_key(&self, facts: &Facts<'_>) -> Result<Option<String>, ScriptError> {
        render(self.keys.dedupe.as_ref(), facts)
    }
}

fn render(key: Option<&Key>, facts: &Facts<'_>) -> Result<Option<String>, ScriptError> {
    let Some(key) = key else {
        return Ok(None);
    };
    let text = match key.template.render(facts.context_for(key.uses_trigger))? {
        Value::String(text) => text,
        Value::Null => String::new(),
        other => other.to_string(),
    };
    Ok(Some(bounded(text)))
}

/// A long key keeps its beginning for people and its hash for identity.
fn bounded(text: String) -> String {
    if text.len() <= MAX_KEY {
        return text;
    }
    let hash = Sha256::digest(text.as_bytes());
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}…{hex}", &text[..text.floor_char_boundary(MAX_KEY / 2)])
}

struct Compiler<'a> {
    catalogue: &'a Catalogue,
    scripts: &'a ScriptEngine,
    conditions: HashMap<String, Condition>,
    params: HashMap<String, Params>,
    errors: Vec<FieldError>,
}

impl Compiler<'_> {
    fn kept<T>(&mut self, result: Result<T, Vec<FieldError>>) -> Option<T> {
        result.map_err(|errors| self.errors.extend(errors)).ok()
    }

    fn triggers(&mut self, document: &RuleDocument, rule: RuleId) -> Vec<CompiledTrigger> {
        let mut triggers = Vec::new();
        for (index, trigger) in document.triggers.iter().enumerate() {
            let pointer = join("/triggers", index);
            let compiled = match self.catalogue.triggers.get(&trigger.kind) {
                Some(spec) => CompiledTrigger::compile(trigger, spec, rule, &pointer),
                None => Err(FieldError::new(
                    join(&pointer, "kind"),
                    format!("there is no trigger `{:.64}`", trigger.kind),
                )),
            };
            triggers.extend(self.kept(compiled.map_err(|error| vec![error])));
        }
        triggers
    }

    fn steps(&mut self, steps: &[Step], pointer: &str) {
        for (index, step) in steps.iter().enumerate() {
            self.step(step, &join(pointer, index));
        }
    }

    fn step(&mut self, step: &Step, pointer: &str) {
        match &step.body {
            StepBody::Action(action) => self.action(action, pointer),
            StepBody::If(step) => {
                self.step_condition(&step.condition, join(pointer, "if"));
                self.steps(&step.then, &join(pointer, "then"));
                self.steps(&step.otherwise, &join(pointer, "else"));
            }
            StepBody::Choose(step) => {
                for (index, branch) in step.choose.iter().enumerate() {
                    let here = join(&join(pointer, "choose"), index);
                    self.step_condition(&branch.condition, join(&here, "if"));
                    self.steps(&branch.then, &join(&here, "then"));
                }
                self.steps(&step.otherwise, &join(pointer, "otherwise"));
            }
            StepBody::Delay(step) => {
                self.templates(json!(step.delay), Map::new(), join(pointer, "delay"))
            }
            StepBody::Set(step) => {
                self.templates(
                    Value::Object(step.set.clone()),
                    Map::new(),
                    join(pointer, "set"),
                );
            }
            StepBody::Stop(step) => {
                self.templates(json!(step.stop), Map::new(), join(pointer, "stop"))
            }
            StepBody::ForEach(step) => {
                let items = json!({ "items": step.for_each.items });
                self.templates(items, Map::new(), join(pointer, "for_each"));
                self.steps(&step.steps, &join(pointer, "do"));
            }
            StepBody::Parallel(step) => {
                for (index, steps) in step.parallel.iter().enumerate() {
                    self.steps(steps, &join(&join(pointer, "parallel"), index));
                }
            }
            StepBody::WaitFor(step) => {
                let pointer = join(pointer, "wait_for");
                if let Some(condition) = &step.wait_for.condition {
                    self.step_condition(condition, join(&pointer, "if"));
                }
                let subject = json!({ "subject": step.wait_for.subject });
                self.templates(subject, Map::new(), pointer);
            }
        }
        self.steps(&step.on_error, &join(pointer, "on_error"));
    }

    fn action(&mut self, action: &ActionStep, pointer: &str) {
        let Some(spec) = self.catalogue.actions.get(&action.action) else {
            let reason = format!("there is no action `{:.64}`", action.action);
            return self
                .errors
                .push(FieldError::new(join(pointer, "action"), reason));
        };
        let scripts = script_params(&spec.params_schema);
        let (raw, with): (Map<_, _>, Map<_, _>) = action
            .with
            .clone()
            .into_iter()
            .partition(|(key, value)| value.is_string() && scripts.contains(&key.as_str()));
        self.templates(Value::Object(with), raw, join(pointer, "with"));
    }

    fn templates(&mut self, value: Value, raw: Map<String, Value>, pointer: String) {
        let tree = TemplateTree::compile(self.scripts, &value)
            .map_err(|error| vec![script_error(&pointer, &error)]);
        if let Some(tree) = self.kept(tree) {
            self.params.insert(pointer, Params { tree, raw });
        }
    }

    fn step_condition(&mut self, condition: &so_model::rule::Condition, pointer: String) {
        let compiled = Condition::compile(condition, &pointer, self.scripts);
        if let Some(compiled) = self.kept(compiled) {
            self.conditions.insert(pointer, compiled);
        }
    }

    fn key(&mut self, text: Option<&str>, pointer: &str) -> Option<Key> {
        let text = text?;
        let template = Template::compile(self.scripts, text)
            .map_err(|error| vec![script_error(pointer, &error)]);
        Some(Key {
            template: self.kept(template)?,
            uses_trigger: text.contains("trigger"),
        })
    }
}
