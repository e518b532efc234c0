//! What rules that do the same share: all of a document that is compiled but its triggers.
//!
//! Owns conditions, templates and keys by their place. Must not know rule, version or workspace. Invariant: plans are
//! shared only where the parts of the documents that they were made of are equal and call no library.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use so_model::{
    problem::FieldError,
    rule::{ActionStep, RuleDocument, Step, StepBody},
};

use crate::{
    rule::{Catalogue, join, script_error, script_params},
    script::{PreparedContext, ScriptEngine, ScriptError, Template, TemplateTree},
};

use super::{condition::Condition, facts::Facts};

/// Longest key kept as it is; keys are compared and indexed in the store.
const MAX_KEY: usize = 200;

/// Conditions, steps and keys of a document, compiled.
#[derive(Debug)]
pub(super) struct Plan {
    pub condition: Option<Condition>,
    /// Where it was made from; of another rule it may be read what is equal in both, the steps.
    source: Arc<RuleDocument>,
    pub conditions: HashMap<String, Condition>,
    pub params: HashMap<String, Params>,
    pub keys: Keys,
    pub scripts: ScriptEngine,
}

impl Plan {
    /// Compiles all but the triggers; mistakes are added to those that are known.
    pub fn compile(
        document: &Arc<RuleDocument>,
        catalogue: &Catalogue,
        scripts: &ScriptEngine,
        errors: &mut Vec<FieldError>,
    ) -> Self {
        let mut compiler = Compiler {
            catalogue,
            scripts,
            conditions: HashMap::new(),
            params: HashMap::new(),
            errors: Vec::new(),
        };
        let condition = document.condition.as_ref().and_then(|condition| {
            let compiled = Condition::compile(condition, "/if", scripts);
            compiler.kept(compiled)
        });
        compiler.steps(&document.steps, "/steps");
        let written = Written::of(document);
        let keys = Keys {
            mode: compiler.key(written.mode_key, "/mode/key"),
            throttle: compiler.key(written.throttle_key, "/throttle/key"),
            debounce: compiler.key(written.debounce_key, "/debounce/key"),
            dedupe: compiler.key(written.dedupe_key, "/dedupe/key"),
        };
        errors.append(&mut compiler.errors);
        Self {
            condition,
            source: document.clone(),
            conditions: compiler.conditions,
            params: compiler.params,
            keys,
            scripts: scripts.clone(),
        }
    }

    /// The steps as they are written.
    pub fn steps(&self) -> &[Step] {
        &self.source.steps
    }
}

/// What a plan is made of.
#[derive(serde::Serialize)]
struct Written<'a> {
    condition: &'a Option<so_model::rule::Condition>,
    steps: &'a [Step],
    mode_key: Option<&'a str>,
    throttle_key: Option<&'a str>,
    debounce_key: Option<&'a str>,
    dedupe_key: Option<&'a str>,
}

impl<'a> Written<'a> {
    fn of(document: &'a RuleDocument) -> Self {
        let (throttle, debounce) = (document.throttle.as_ref(), document.debounce.as_ref());
        Self {
            condition: &document.condition,
            steps: &document.steps,
            mode_key: document.mode.key.as_deref(),
            throttle_key: throttle.and_then(|throttle| throttle.key.as_deref()),
            debounce_key: debounce.and_then(|debounce| debounce.key.as_deref()),
            dedupe_key: document.dedupe.as_ref().map(|dedupe| dedupe.key.as_str()),
        }
    }

    fn hash(&self) -> Option<[u8; 32]> {
        let text = serde_json::to_vec(self).ok()?;
        Some(Sha256::digest(text).into())
    }
}

/// The plans that are in use. Ten thousand workspaces with one rule from the gallery are one plan, which stays in the
/// processor's caches.
#[derive(Debug, Default)]
pub(crate) struct Plans(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    plans: HashMap<[u8; 32], Weak<Plan>>,
    /// Size from which on the dead are looked for.
    swept_at: usize,
}

impl Plans {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.plans.len()
    }

    /// The plan in use that was made of the same, else this one.
    pub(super) fn shared(&self, plan: Arc<Plan>, document: &RuleDocument) -> Arc<Plan> {
        if plan.scripts.library().is_some() {
            return plan;
        }
        let Some(hash) = Written::of(document).hash() else {
            return plan;
        };
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = known.plans.get(&hash).and_then(Weak::upgrade) {
            return same;
        }
        if known.plans.len() >= known.swept_at {
            known.plans.retain(|_, plan| plan.strong_count() > 0);
            known.swept_at = known.plans.len() * 2 + 64;
        }
        known.plans.insert(hash, Arc::downgrade(&plan));
        plan
    }
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

/// Templates of the keys that a document names.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys {
    pub mode: Option<Key>,
    pub throttle: Option<Key>,
    pub debounce: Option<Key>,
    pub dedupe: Option<Key>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Key {
    template: Template,
    uses_trigger: bool,
}

/// A key's value for an event.
pub(super) fn render(key: Option<&Key>, facts: &Facts<'_>) -> Result<Option<String>, ScriptError> {
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
