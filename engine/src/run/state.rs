//! What a run knows while it is carried on.

use std::sync::Arc;

use serde_json::{Map, Value, json};
use so_model::{
    Timestamp,
    event::Event,
    run::{ConditionTrace, Run},
    secret_name::is_secret_name,
};

use super::{
    scope::seen_at,
    walk::{Memos, pointer_of},
};
use crate::{
    admit::seed_of,
    config::TRACE_BYTES_MAX,
    decide::{
        CompiledRule, DecisionInput, FactRequest, FactValues, Facts, RunFacts, TriggerFacts,
        WorkspaceFacts,
    },
};

/// A run with its rule version, event and memos.
pub struct RunContext {
    /// The run.
    pub run: Run,
    /// What started it.
    pub event: Arc<Event>,
    /// The pinned version of the rule.
    pub rule: Arc<CompiledRule>,
    /// The tenant's settings.
    pub workspace: Arc<WorkspaceFacts>,
    /// Outcomes so far.
    pub memos: Memos,
}

impl RunContext {
    /// Parameters of the step at a place, such as `/steps/0/with`, rendered.
    pub fn render(&self, place: &str, now: Timestamp) -> Result<Value, String> {
        let pointer = pointer_of(place);
        let Some(params) = self.rule.params_at(&pointer) else {
            return Ok(Value::Object(Map::new()));
        };
        let none = FactValues::default();
        self.with_facts(place, now, &none, |facts| {
            params
                .render(facts.context())
                .map_err(|error| match &error.pointer {
                    Some(inner) => format!("{pointer}{inner}: {error}"),
                    None => format!("{pointer}: {error}"),
                })
        })
    }

    /// Facts that a step's condition needs.
    pub fn facts_asked(&self, place: &str, now: Timestamp) -> Vec<FactRequest> {
        let none = FactValues::default();
        self.rule
            .condition_at(&pointer_of(place))
            .map_or_else(Vec::new, |condition| {
                self.with_facts(place, now, &none, |facts| condition.facts_needed(facts))
            })
    }

    /// A step's condition, explained.
    pub fn explain(
        &self,
        place: &str,
        now: Timestamp,
        values: &FactValues,
    ) -> Option<ConditionTrace> {
        let condition = self.rule.condition_at(&pointer_of(place))?;
        Some(self.with_facts(place, now, values, |facts| condition.explain(facts)))
    }

    fn with_facts<T>(
        &self,
        place: &str,
        now: Timestamp,
        values: &FactValues,
        look: impl FnOnce(&Facts<'_>) -> T,
    ) -> T {
        let seen = seen_at(self.rule.steps(), &self.memos, place);
        let (vars, steps) = (Value::Object(seen.vars), Value::Object(seen.steps));
        let run =
            json!({"id": self.run.id, "rule": self.run.rule, "created_at": self.run.created_at});
        let input = DecisionInput::new(&self.event, &self.workspace, now, values);
        let trigger = TriggerFacts {
            id: &self.run.trigger,
            kind: self.trigger_kind(),
        };
        let run = RunFacts {
            vars: &vars,
            steps: &steps,
            item: seen.item.as_ref(),
            run: &run,
            seed: seed_of(&self.event),
        };
        look(&Facts::in_run(&input, trigger, run))
    }

    fn trigger_kind(&self) -> &str {
        let triggers = &self.rule.triggers;
        triggers
            .iter()
            .find(|trigger| trigger.id == self.run.trigger)
            .map_or("", |trigger| trigger.kind.as_str())
    }
}

/// A value as kept in a trace: secrets hidden by the name they stand under, cut when it is too long.
pub fn shorten(mut value: Value) -> Value {
    hide_secrets(&mut value, 0);
    let text = value.to_string();
    if text.len() <= TRACE_BYTES_MAX {
        return value;
    }
    let cut = text
        .char_indices()
        .map(|(at, _)| at)
        .take_while(|at| *at < 1_000)
        .last()
        .unwrap_or(0);
    json!({"shortened": true, "bytes": text.len(), "beginning": &text[..cut]})
}

/// Deepest value looked into; templates yield no deeper one.
const HIDE_DEPTH_MAX: u32 = 64;

/// Everybody who may see a run may see its trace, and a trace outlives a secret's change.
fn hide_secrets(value: &mut Value, depth: u32) {
    if depth > HIDE_DEPTH_MAX {
        *value = Value::Null;
        return;
    }
    match value {
        Value::Object(map) => {
            for (name, inner) in map.iter_mut() {
                let is_shown = inner.is_null() || inner.is_boolean();
                if is_secret_name(name) && !is_shown {
                    *inner = json!("***");
                } else {
                    hide_secrets(inner, depth + 1);
                }
            }
        }
        Value::Array(items) => {
            for inner in items {
                hide_secrets(inner, depth + 1);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_hides_what_stands_under_the_name_of_a_secret() {
        let seen = shorten(json!({
            "url": "https://example.com", "headers": {"Authorization": "Bearer abc", "accept": "*/*"},
            "json": [{"api_key": "k", "text": "shown"}]
        }));
        assert_eq!(
            seen,
            json!({"url": "https://example.com", "headers": {"Authorization": "***", "accept": "*/*"},
                   "json": [{"api_key": "***", "text": "shown"}]})
        );
    }

    #[test]
    fn a_long_value_is_cut_between_characters() {
        let seen = shorten(json!({"text": "é".repeat(TRACE_BYTES_MAX)}));
        assert_eq!(seen["shortened"], true);
    }
}
