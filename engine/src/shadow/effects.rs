//! Two lists of effects compared.
//!
//! Invariant: ids that a dry run makes up are no difference, and neither are steps that only prepare others.

use std::collections::HashMap;

use serde_json::Value;
use so_model::effect::{Effect, EffectKind};

use crate::rehearse::Rehearsal;

/// Characters of an effect's values in a sentence.
const VALUES_MAX: usize = 200;

/// The first difference of what two versions would do: a sentence and the step's place.
pub(super) fn first_difference(
    live: &Rehearsal,
    candidate: &Rehearsal,
) -> Option<(String, String)> {
    let (one, other) = (outward(live), outward(candidate));
    let (mut first, mut second) = (Names::default(), Names::default());
    for index in 0..one.len().max(other.len()) {
        match (one.get(index), other.get(index)) {
            (Some(old), Some(new)) => {
                if first.told(old) != second.told(new) {
                    let words = format!(
                        "live {}; the candidate {}",
                        timed(old, new, old),
                        timed(old, new, new)
                    );
                    return Some((words, new.path.clone()));
                }
            }
            (Some(old), None) => {
                return Some((format!("only live {}", old.text), old.path.clone()));
            }
            (None, Some(new)) => {
                return Some((format!("only the candidate {}", new.text), new.path.clone()));
            }
            (None, None) => {}
        }
    }
    (live.end != candidate.end || live.reason != candidate.reason).then(|| {
        let end = |of: &Rehearsal| {
            let end = serde_json::to_value(of.end).unwrap_or_default();
            let reason = of.reason.as_deref().unwrap_or("no reason");
            format!("{} ({reason})", end.as_str().unwrap_or_default())
        };
        (
            format!("live ends {}; the candidate {}", end(live), end(candidate)),
            String::new(),
        )
    })
}

/// Where the words are the same, what they do not say is named: the moment, or the step and its values.
fn timed(old: &Effect, new: &Effect, of: &Effect) -> String {
    if old.text != new.text {
        return of.text.clone();
    }
    if old.at != new.at {
        return format!("{} at {}", of.text, of.at);
    }
    let values = serde_json::to_string(&of.what).unwrap_or_default();
    let short: String = values.chars().take(VALUES_MAX).collect();
    format!("{} (step {}: {short})", of.text, of.step)
}

/// What others can see of a run.
fn outward(rehearsal: &Rehearsal) -> Vec<&Effect> {
    let is_inward = |effect: &&Effect| {
        matches!(
            effect.what,
            EffectKind::VariablesSet { .. }
                | EffectKind::BranchTaken { .. }
                | EffectKind::Looped { .. }
                | EffectKind::Waited { .. }
                | EffectKind::WaitedFor { .. }
                | EffectKind::ScriptRan { .. }
        )
    };
    let all = rehearsal.effects.iter();
    all.filter(|effect| !is_inward(effect)).collect()
}

/// Ids by the order in which they are first named.
#[derive(Default)]
struct Names(HashMap<String, usize>);

impl Names {
    fn told(&mut self, effect: &Effect) -> (so_model::Timestamp, Value) {
        let mut what = serde_json::to_value(&effect.what).unwrap_or_default();
        self.replace(&mut what);
        (effect.at, what)
    }

    fn replace(&mut self, value: &mut Value) {
        match value {
            Value::String(text) if is_post(text) => {
                let next = self.0.len();
                let number = *self.0.entry(text.clone()).or_insert(next);
                *text = format!("post #{number}");
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.replace(item)),
            _ => {}
        }
    }
}

/// Posts are what a dry run makes up; every other id is of something that is there.
fn is_post(text: &str) -> bool {
    text.parse::<so_model::id::PostId>().is_ok()
}
