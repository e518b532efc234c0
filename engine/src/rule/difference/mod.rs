//! The semantic difference of two rule documents: what changed, in sentences a person reads.
//!
//! Owns which part of a document is told in which words. Must not know texts, layout or a store. Invariant: documents
//! that are equal have no difference, any others have at least one, and each names its place.

mod conditions;
mod fields;
mod lists;
mod schedules;
mod steps;
#[cfg(test)]
mod tests;
mod words;

use serde_json::{Map, Value};
use so_model::{case::Case, difference::RuleChange, rule::RuleDocument};

use words::{plain, two};

/// Differences that are told of two versions; beyond them a reader is better served by the text.
const CHANGES_MAX: usize = 500;

/// What is told so far.
#[derive(Debug, Default)]
struct Told {
    changes: Vec<RuleChange>,
}

impl Told {
    fn tell(
        &mut self,
        code: &str,
        path: impl Into<String>,
        sentence: impl Into<String>,
        before: &Value,
        after: &Value,
    ) {
        if self.changes.len() < CHANGES_MAX {
            self.changes.push(RuleChange {
                code: code.to_owned(),
                path: path.into(),
                sentence: sentence.into(),
                before: before.clone(),
                after: after.clone(),
            });
        }
    }

    fn count(&self) -> usize {
        self.changes.len()
    }
}

/// How `after` differs from `before`, in the order of the document.
pub fn difference(before: &RuleDocument, after: &RuleDocument) -> Vec<RuleChange> {
    let mut told = Told::default();
    // A document that was read can be written.
    let (one, other) = (
        serde_json::to_value(before).unwrap_or_default(),
        serde_json::to_value(after).unwrap_or_default(),
    );
    let (Value::Object(one), Value::Object(other)) = (&one, &other) else {
        return told.changes;
    };
    for key in keys(one, other) {
        let (old, new) = (at(one, key), at(other, key));
        if old != new {
            part(&mut told, key, old, new);
        }
    }
    told.changes
}

fn part(told: &mut Told, key: &str, old: &Value, new: &Value) {
    let before = told.count();
    match key {
        "triggers" => lists::triggers(told, old, new),
        "if" => conditions::condition(told, "/if", "the rule", old, new),
        "steps" => steps::steps(told, old, new),
        "inputs" => fields::inputs(told, old, new),
        _ => fields::root(told, key, old, new),
    }
    // Whatever the words above leave out is told all the same.
    if told.count() == before {
        let sentence = format!("{key} changed{}", two(old, new));
        told.tell(
            &format!("{key}.changed"),
            format!("/{key}"),
            sentence,
            old,
            new,
        );
    }
}

/// How the cases of two versions differ; cases are known by their names.
pub fn cases_difference(before: &[Case], after: &[Case]) -> Vec<RuleChange> {
    let mut told = Told::default();
    let value = |case: &Case| serde_json::to_value(case).unwrap_or_default();
    let mut left: Vec<&Case> = before.iter().collect();
    for (index, case) in after.iter().enumerate() {
        let path = format!("/cases/{index}");
        let known = left.iter().position(|old| old.name == case.name);
        match known.map(|at| left.remove(at)) {
            None => {
                let sentence = format!("case “{}” is new", case.name);
                told.tell("case.added", path, sentence, &Value::Null, &value(case));
            }
            Some(old) if old != case => {
                let sentence = format!("case “{}” changed", case.name);
                told.tell("case.changed", path, sentence, &value(old), &value(case));
            }
            Some(_) => {}
        }
    }
    for old in left {
        let index = before.iter().position(|one| std::ptr::eq(one, old));
        let path = format!("/cases/{}", index.unwrap_or(0));
        let sentence = format!("case “{}” is gone", old.name);
        told.tell("case.removed", path, sentence, &value(old), &Value::Null);
    }
    told.changes
}

/// The keys of both, those of the later document in its order and then what is gone.
fn keys<'a>(one: &'a Map<String, Value>, other: &'a Map<String, Value>) -> Vec<&'a str> {
    let gone = one.keys().filter(|key| !other.contains_key(*key));
    other.keys().chain(gone).map(String::as_str).collect()
}

fn at<'a>(map: &'a Map<String, Value>, key: &str) -> &'a Value {
    map.get(key).unwrap_or(&Value::Null)
}

/// A value's members; none of anything that is no object.
fn members(value: &Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap_or_default()
}

/// Differences of values that have no words of their own, each at its place.
fn values(told: &mut Told, code: &str, path: &str, name: &str, old: &Value, new: &Value) {
    if old == new {
        return;
    }
    if let (Value::Object(one), Value::Object(other)) = (old, new) {
        for key in keys(one, other) {
            let path = super::join(path, key);
            let name = format!("{name}.{key}");
            values(told, code, &path, &name, at(one, key), at(other, key));
        }
        return;
    }
    let sentence = match (old, new) {
        (Value::Null, new) => format!("{name} is now {}", plain(new)),
        (old, Value::Null) => format!("{name} is no longer set (it was {})", plain(old)),
        (old, new) => format!("{name} changed{}", two(old, new)),
    };
    told.tell(code, path, sentence, old, new);
}
