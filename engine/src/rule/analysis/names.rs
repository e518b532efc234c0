//! Accounts, labels, queues and other things of a workspace that a rule names.
//!
//! Owns where a document names them: a parameter's schema says so by `x-refers-to`. Must not know the store:
//! what there is comes through [`Lookup`]. Invariant: without a lookup nothing is said.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use so_model::rule::{Condition, RuleDocument, Step, StepBody};

use crate::rule::{Catalogue, join, suggest::nearest};

use super::{
    codes::{self, Found, Sort},
    review::branches,
};

/// Schema key that says what a text parameter, or each element of a list, names: `queue` by id or name,
/// `feed:id` by id only, `label:new` by id or by any name.
pub const REFERS_TO: &str = "x-refers-to";

/// What a rule may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Thing {
    /// A connected account.
    Account,
    /// A label.
    Label,
    /// A queue.
    Queue,
    /// A feed.
    Feed,
    /// An inbound webhook.
    Hook,
    /// An outbound address.
    Endpoint,
    /// A rule.
    Rule,
}

impl Thing {
    const ALL: [(Self, &'static str, &'static Sort); 7] = [
        (Self::Account, "account", &codes::UNKNOWN_ACCOUNT),
        (Self::Label, "label", &codes::UNKNOWN_LABEL),
        (Self::Queue, "queue", &codes::UNKNOWN_QUEUE),
        (Self::Feed, "feed", &codes::UNKNOWN_FEED),
        (Self::Hook, "hook", &codes::UNKNOWN_HOOK),
        (Self::Endpoint, "endpoint", &codes::UNKNOWN_ENDPOINT),
        (Self::Rule, "rule", &codes::UNKNOWN_RULE),
    ];

    /// The thing of a word.
    pub fn of(word: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find_map(|(thing, known, _)| (known == word).then_some(thing))
    }

    fn word(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn sort(self) -> &'static Sort {
        Self::ALL[self as usize].2
    }
}

/// What a workspace has.
pub trait Lookup: Send + Sync {
    /// What a text names.
    fn look(&self, thing: Thing, text: &str) -> Named;
}

/// What a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// It is the id of one.
    Id,
    /// It is the name of one, which has this id.
    Name(String),
    /// Nothing; perhaps this name was meant.
    Nothing(Option<String>),
}

/// A workspace's things in memory: id and name of each.
#[derive(Debug, Clone, Default)]
pub struct NameList(pub BTreeMap<Thing, Vec<(String, String)>>);

impl Lookup for NameList {
    fn look(&self, thing: Thing, text: &str) -> Named {
        let empty = Vec::new();
        let all = self.0.get(&thing).unwrap_or(&empty);
        if all.iter().any(|(id, _)| id == text) {
            return Named::Id;
        }
        match all.iter().find(|(_, name)| name == text) {
            Some((id, _)) => Named::Name(id.clone()),
            None => Named::Nothing(nearest(text, all.iter().map(|(_, name)| name.as_str()))),
        }
    }
}

/// One place where a document names something.
pub(super) struct Reference<'d> {
    pub thing: Thing,
    /// What is allowed: `id`, `new` or either.
    pub by: &'d str,
    pub text: &'d str,
    pub pointer: String,
}

/// Every constant name in a document.
pub(super) fn references<'d>(
    document: &'d RuleDocument,
    catalogue: &'d Catalogue,
) -> Vec<Reference<'d>> {
    let mut found = Vec::new();
    for (index, trigger) in document.triggers.iter().enumerate() {
        if let Some(spec) = catalogue.triggers.get(&trigger.kind) {
            let at = format!("/triggers/{index}/with");
            parameters(&spec.params_schema, &trigger.with, &at, &mut found);
        }
    }
    if let Some(condition) = &document.condition {
        facts(condition, "/if", catalogue, &mut found);
    }
    steps(&document.steps, "/steps", catalogue, &mut found);
    found
}

fn steps<'d>(
    list: &'d [Step],
    pointer: &str,
    catalogue: &'d Catalogue,
    found: &mut Vec<Reference<'d>>,
) {
    for (index, step) in list.iter().enumerate() {
        let here = join(pointer, index);
        match &step.body {
            StepBody::Action(action) => {
                if let Some(spec) = catalogue.actions.get(&action.action) {
                    parameters(
                        &spec.params_schema,
                        &action.with,
                        &join(&here, "with"),
                        found,
                    );
                }
            }
            StepBody::If(body) => facts(&body.condition, &join(&here, "if"), catalogue, found),
            StepBody::Choose(body) => {
                for (branch, inner) in body.choose.iter().enumerate() {
                    let at = join(&join(&join(&here, "choose"), branch), "if");
                    facts(&inner.condition, &at, catalogue, found);
                }
            }
            _ => {}
        }
        for (inner, list) in branches(step, &here) {
            steps(list, &inner, catalogue, found);
        }
    }
}

fn facts<'d>(
    condition: &'d Condition,
    pointer: &str,
    catalogue: &'d Catalogue,
    found: &mut Vec<Reference<'d>>,
) {
    let (key, parts) = match condition {
        Condition::All(all) => ("all", &all.all),
        Condition::Any(any) => ("any", &any.any),
        Condition::Not(not) => return facts(&not.not, &join(pointer, "not"), catalogue, found),
        Condition::Fact(fact) => {
            if let Some(spec) = catalogue.facts.get(&fact.fact) {
                parameters(&spec.params_schema, &fact.of, &join(pointer, "of"), found);
            }
            return;
        }
        _ => return,
    };
    for (index, part) in parts.iter().enumerate() {
        facts(part, &join(&join(pointer, key), index), catalogue, found);
    }
}

fn parameters<'d>(
    schema: &'d Value,
    with: &'d Map<String, Value>,
    pointer: &str,
    found: &mut Vec<Reference<'d>>,
) {
    for (name, value) in with {
        let Some(refers) = schema["properties"][name.as_str()][REFERS_TO].as_str() else {
            continue;
        };
        let (word, by) = refers.split_once(':').unwrap_or((refers, ""));
        let Some(thing) = Thing::of(word) else {
            continue;
        };
        let here = join(pointer, name);
        let texts: Vec<(String, &'d Value)> = match value {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| (join(&here, index), item))
                .collect(),
            one => vec![(here, one)],
        };
        for (pointer, value) in texts {
            if let Some(text) = value.as_str().filter(|text| !text.contains("{{")) {
                found.push(Reference {
                    thing,
                    by,
                    text: text.trim(),
                    pointer,
                });
            }
        }
    }
}

/// Tells every name that the workspace does not have.
pub(super) fn unknown(references: &[Reference<'_>], names: &dyn Lookup) -> Vec<Found> {
    references
        .iter()
        .filter_map(|one| judge(one, names))
        .collect()
}

fn judge(one: &Reference<'_>, names: &dyn Lookup) -> Option<Found> {
    let word = one.thing.word();
    let shown: String = one.text.chars().take(80).collect();
    match (names.look(one.thing, one.text), one.by) {
        (Named::Id, _) | (Named::Name(_), "new" | "") => None,
        (Named::Name(id), _) => {
            let reason = format!("`{shown}` is the name of the {word}; here its id is wanted");
            let found = Found::new(one.thing.sort(), one.pointer.clone(), reason);
            Some(
                found
                    .expected(id.clone())
                    .fix(one.pointer.clone(), Some(json!(id))),
            )
        }
        // A new name becomes a label; an id that is not there does not.
        (Named::Nothing(_), "new") if !looks_like_id(one.text) => None,
        (Named::Nothing(near), by) => {
            let reason = format!("the workspace has no {word} `{shown}`");
            let found = Found::new(one.thing.sort(), one.pointer.clone(), reason);
            Some(match near.filter(|_| by != "id") {
                Some(near) => {
                    let mut found = found.fix(one.pointer.clone(), Some(json!(near)));
                    found.told = found.told.suggest(Some(near));
                    found
                }
                None => found,
            })
        }
    }
}

/// A prefix and 32 digits, as every id has.
fn looks_like_id(text: &str) -> bool {
    text.split_once('_')
        .is_some_and(|(_, rest)| rest.len() == 32 && rest.bytes().all(|b| b.is_ascii_hexdigit()))
}
