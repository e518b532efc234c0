//! The first difference between what a text says and what it shall say.
//!
//! Invariant: making the edits one after the other comes to an end, for each one removes a difference.

use serde_json::{Map, Value};

use super::edit::Edit;
use crate::rule::join;

/// The edit that removes the first difference; none if there is none.
pub(super) fn first(now: &Value, target: &Value) -> Option<Edit> {
    within(now, target, "")
}

fn within(now: &Value, target: &Value, pointer: &str) -> Option<Edit> {
    if now == target {
        return None;
    }
    match (now, target) {
        (Value::Object(now), Value::Object(target)) => of_maps(now, target, pointer),
        (Value::Array(now), Value::Array(target)) => of_lists(now, target, pointer),
        _ => Some(Edit::Set {
            pointer: pointer.to_owned(),
            value: target.clone(),
        }),
    }
}

fn of_maps(now: &Map<String, Value>, target: &Map<String, Value>, pointer: &str) -> Option<Edit> {
    if let Some(key) = now.keys().find(|key| !target.contains_key(*key)) {
        // A new key takes the place of the former one, as when a step becomes one of another kind.
        if now.len() > 1 || target.is_empty() {
            return Some(Edit::Remove {
                pointer: join(pointer, key),
            });
        }
    }
    let mut after = None;
    for (key, value) in target {
        match now.get(key) {
            Some(known) => {
                if let Some(edit) = within(known, value, &join(pointer, key)) {
                    return Some(edit);
                }
            }
            None => {
                return Some(Edit::InsertKey {
                    pointer: pointer.to_owned(),
                    key: key.clone(),
                    value: value.clone(),
                    after,
                });
            }
        }
        after = Some(key.clone());
    }
    None
}

fn of_lists(now: &[Value], target: &[Value], pointer: &str) -> Option<Edit> {
    let at = now
        .iter()
        .zip(target)
        .position(|(one, other)| one != other)
        .unwrap_or(now.len().min(target.len()));
    let insert = || {
        Some(Edit::InsertItem {
            pointer: pointer.to_owned(),
            index: at,
            value: target.get(at)?.clone(),
        })
    };
    let remove = || {
        Some(Edit::Remove {
            pointer: join(pointer, at),
        })
    };
    let (Some(one), Some(other)) = (now.get(at), target.get(at)) else {
        return if at < target.len() {
            insert()
        } else {
            remove()
        };
    };
    if is_same(one, other) && is_named(one) {
        return within(one, other, &join(pointer, at));
    }
    let is_later =
        |list: &[Value], value: &Value| list[at + 1..].iter().any(|item| is_same(item, value));
    if is_later(target, one) && target.len() > now.len() {
        return insert();
    }
    if is_later(now, other) {
        return remove();
    }
    if is_later(target, one) || now.len() < target.len() {
        return insert();
    }
    if now.len() > target.len() {
        return remove();
    }
    within(one, other, &join(pointer, at))
}

fn is_named(value: &Value) -> bool {
    value.get("id").is_some()
}

/// The same item, perhaps changed.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one.get("id"), other.get("id")) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}
