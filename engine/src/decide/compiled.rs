//! A rule made ready: triggers, conditions and templates by their place.
//!
//! Owns the compiled form, which is never stored: it is made from the pinned
//! document. Must not run steps. Invariant: whatever `rule::validate` accepted
//! compiles, and everything compiled is reachable by its JSON pointer.

use std::sync::Arc;

use so_model::{
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::{RuleDocument, Step},
};

use crate::{
    rule::{Catalogue, join},
    script::{ScriptEngine, ScriptError},
};

use super::{
    Params,
    condition::Condition,
    facts::{Facts, TriggerFacts},
    plan::{Plan, Plans, render},
    trigger::CompiledTrigger,
};

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
    pub(super) plan: Arc<Plan>,
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
        let mut errors = Vec::new();
        let triggers = compile_triggers(&document, id, catalogue, &mut errors);
        let plan = Plan::compile(&document, catalogue, scripts, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self {
            id,
            workspace,
            version,
            triggers,
            plan: Arc::new(plan),
            document,
        })
    }

    /// The same, sharing what other rules were compiled to from the same words.
    pub(crate) fn sharing(mut self, plans: &Plans) -> Self {
        self.plan = plans.shared(self.plan, &self.document);
        self
    }

    /// The steps of the document, shared with rules that have the same.
    pub fn steps(&self) -> &[Step] {
        self.plan.steps()
    }

    /// The sandbox of its scripts, with the library that they call.
    pub fn scripts(&self) -> &ScriptEngine {
        &self.plan.scripts
    }

    /// The condition of the rule itself.
    pub fn condition(&self) -> Option<&Condition> {
        self.plan.condition.as_ref()
    }

    /// A step's condition: `/steps/1/if`, `/steps/2/choose/0/if`.
    pub fn condition_at(&self, pointer: &str) -> Option<&Condition> {
        self.plan.conditions.get(pointer)
    }

    /// A step's templates: `/steps/0/with`, `/steps/1/set`, `/steps/2/delay`,
    /// `/steps/3/stop`.
    pub fn params_at(&self, pointer: &str) -> Option<&Params> {
        self.plan.params.get(pointer)
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
        Ok(render(self.plan.keys.mode.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key of the throttle.
    pub fn throttle_key(&self, facts: &Facts<'_>) -> Result<String, ScriptError> {
        Ok(render(self.plan.keys.throttle.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key of the debounce.
    pub fn debounce_key(&self, facts: &Facts<'_>) -> Result<String, ScriptError> {
        Ok(render(self.plan.keys.debounce.as_ref(), facts)?.unwrap_or_default())
    }

    /// The key that runs once; none when the rule has no dedupe.
    pub fn dedupe_key(&self, facts: &Facts<'_>) -> Result<Option<String>, ScriptError> {
        render(self.plan.keys.dedupe.as_ref(), facts)
    }
}

fn compile_triggers(
    document: &RuleDocument,
    rule: RuleId,
    catalogue: &Catalogue,
    errors: &mut Vec<FieldError>,
) -> Vec<CompiledTrigger> {
    let mut triggers = Vec::new();
    for (index, trigger) in document.triggers.iter().enumerate() {
        let pointer = join("/triggers", index);
        let compiled = match catalogue.triggers.get(&trigger.kind) {
            Some(spec) => CompiledTrigger::compile(trigger, spec, rule, &pointer),
            None => Err(FieldError::new(
                join(&pointer, "kind"),
                format!("there is no trigger `{:.64}`", trigger.kind),
            )),
        };
        match compiled {
            Ok(trigger) => triggers.push(trigger),
            Err(error) => errors.push(error),
        }
    }
    triggers
}
