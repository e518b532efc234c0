//! The fields of a rule beside triggers, condition and steps.
//!
//! Invariant: each has words for being set, changed and taken away.

use serde_json::{Map, Value};

use super::{
    Told, at, keys, members, values,
    words::{bare, plain, two},
};

/// Fields of a document with words of their own, here or in a module of their own.
#[cfg(test)]
pub(super) const KNOWN: [&str; 14] = [
    "version",
    "name",
    "notes",
    "enabled",
    "triggers",
    "if",
    "steps",
    "inputs",
    "mode",
    "throttle",
    "debounce",
    "dedupe",
    "silent_after",
    "limits",
];

pub(super) fn root(told: &mut Told, key: &str, old: &Value, new: &Value) {
    let path = format!("/{key}");
    match key {
        "name" => {
            let sentence = format!(
                "the rule is called {} now, and was {}",
                plain(new),
                plain(old)
            );
            told.tell("name.changed", path, sentence, old, new);
        }
        "notes" => {
            let sentence = match (old, new) {
                (Value::Null, _) => "notes were added".to_owned(),
                (_, Value::Null) => "the notes were removed".to_owned(),
                (old, new) => format!("the notes changed{}", two(old, new)),
            };
            told.tell("notes.changed", path, sentence, old, new);
        }
        "enabled" => {
            let state = if *new == Value::Bool(true) {
                "on"
            } else {
                "off"
            };
            told.tell(
                "enabled.changed",
                path,
                format!("the rule is switched {state}"),
                old,
                new,
            );
        }
        "mode" => {
            let given = |value: &Value| match value {
                Value::Null => Value::Object(Map::from_iter([("kind".into(), "parallel".into())])),
                value => value.clone(),
            };
            values(
                told,
                "mode.changed",
                "/mode",
                "mode",
                &given(old),
                &given(new),
            );
        }
        "throttle" => whole(told, key, "the bound on starts", throttle, old, new),
        "debounce" => whole(told, key, "the wait for a quiet spell", debounce, old, new),
        "dedupe" => whole(told, key, "once for each key", dedupe, old, new),
        "silent_after" => whole(told, key, "the watch for silence", silence, old, new),
        "limits" => values(
            told,
            "limits.changed",
            "/limits",
            "limits",
            &object(old),
            &object(new),
        ),
        _ => {}
    }
}

fn object(value: &Value) -> Value {
    match value {
        Value::Null => Value::Object(Map::new()),
        value => value.clone(),
    }
}

/// A field that is told as a whole.
fn whole(
    told: &mut Told,
    key: &str,
    name: &str,
    words: fn(&Value) -> String,
    old: &Value,
    new: &Value,
) {
    let path = format!("/{key}");
    let (what, sentence) = match (old, new) {
        (Value::Null, new) => ("added", format!("{name} is new: {}", words(new))),
        (old, Value::Null) => ("removed", format!("{name} is gone: {}", words(old))),
        (old, new) => (
            "changed",
            format!("{name} changed from {} to {}", words(old), words(new)),
        ),
    };
    told.tell(&format!("{key}.{what}"), path, sentence, old, new);
}

fn keyed(value: &Value) -> String {
    match &value["key"] {
        Value::Null => String::new(),
        key => format!(" for each {}", bare(key)),
    }
}

fn throttle(value: &Value) -> String {
    format!(
        "at most {} in {}{}",
        value["max"],
        bare(&value["per"]),
        keyed(value)
    )
}

fn debounce(value: &Value) -> String {
    format!("{}{}", bare(&value["for"]), keyed(value))
}

fn dedupe(value: &Value) -> String {
    let within = match &value["within"] {
        Value::Null => "for ever".to_owned(),
        span => format!("for {}", bare(span)),
    };
    format!("{} {within}", bare(&value["key"]))
}

fn silence(value: &Value) -> String {
    match value.as_str() {
        Some(so_model::rule::SILENT_AFTER_LEARNED) => "as learned from its starts".into(),
        _ => format!("after {}", bare(value)),
    }
}

/// What calls bring, by name.
pub(super) fn inputs(told: &mut Told, old: &Value, new: &Value) {
    let (one, other) = (members(old), members(new));
    for name in keys(&one, &other) {
        let (old, new) = (at(&one, name), at(&other, name));
        let path = crate::rule::join("/inputs", name);
        let kind = |value: &Value| bare(&value["type"]);
        match (old, new) {
            (old, new) if old == new => {}
            (Value::Null, new) => {
                let asks = if new["default"].is_null() {
                    "must be given"
                } else {
                    "may be left out"
                };
                let sentence = format!("calls bring `{name}` now, {}, which {asks}", kind(new));
                told.tell("input.added", path, sentence, old, new);
            }
            (old, Value::Null) => {
                let sentence = format!("calls bring `{name}` no longer");
                told.tell("input.removed", path, sentence, old, new);
            }
            (old, new) => values(
                told,
                "input.changed",
                &path,
                &format!("input `{name}`"),
                old,
                new,
            ),
        }
    }
}
