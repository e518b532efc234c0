//! Conditions: clauses added, removed, moved, and changed in one part.
//!
//! Clauses have no names. Equal ones are the same; of the others those are that ask about the same thing. Invariant: a
//! clause is told once, and what lies within a changed one is told at its own place.

use serde_json::Value;

use super::{
    Told, values,
    words::{bare, clause, days, fact, field, span, two, wanted, zone},
};

/// Tells how a condition differs. `whose` is what it belongs to: `the rule`, `step a`.
pub(super) fn condition(told: &mut Told, path: &str, whose: &str, old: &Value, new: &Value) {
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Null, new) => {
            let sentence = format!("{whose} has a condition now: {}", clause(new));
            told.tell("clause.added", path, sentence, old, new);
        }
        (old, Value::Null) => {
            let sentence = format!("{whose} has no condition any more; it was {}", clause(old));
            told.tell("clause.removed", path, sentence, old, new);
        }
        (old, new) => changed(told, path, whose, old, new),
    }
}

fn changed(told: &mut Told, path: &str, whose: &str, old: &Value, new: &Value) {
    let group = group_of(new).or_else(|| group_of(old));
    match (kind(old), kind(new)) {
        ("all" | "any", _) | (_, "all" | "any")
            if group_of(old).is_none()
                || group_of(new).is_none()
                || group_of(old) == group_of(new) =>
        {
            parts(told, path, whose, group.unwrap_or("all"), old, new);
        }
        (one, other) if one != other => {
            let sentence = format!(
                "{whose}: the clause “{}” became “{}”",
                clause(old),
                clause(new)
            );
            told.tell("clause.changed", path, sentence, old, new);
        }
        ("not", _) => changed(
            told,
            &format!("{path}/not"),
            whose,
            &old["not"],
            &new["not"],
        ),
        ("time", _) => window(told, path, whose, &old["time"], &new["time"]),
        ("field", _) if old["field"] == new["field"] => {
            comparison(told, path, whose, &field(&old["field"]), old, new);
        }
        ("fact", _) if old["fact"] == new["fact"] && old["of"] == new["of"] => {
            comparison(told, path, whose, &fact(&old["fact"], &old["of"]), old, new);
        }
        ("expr", _) => {
            let sentence = format!(
                "{whose}: the expression changed{}",
                two(&old["expr"], &new["expr"])
            );
            told.tell("clause.changed", format!("{path}/expr"), sentence, old, new);
        }
        _ => {
            let sentence = format!(
                "{whose}: the clause “{}” became “{}”",
                clause(old),
                clause(new)
            );
            told.tell("clause.changed", path, sentence, old, new);
        }
    }
}

fn kind(value: &Value) -> &'static str {
    ["all", "any", "not", "field", "time", "fact", "expr"]
        .into_iter()
        .find(|key| value.get(*key).is_some())
        .unwrap_or("")
}

fn group_of(value: &Value) -> Option<&'static str> {
    Some(kind(value)).filter(|kind| matches!(*kind, "all" | "any"))
}

fn comparison(told: &mut Told, path: &str, whose: &str, name: &str, old: &Value, new: &Value) {
    let words = |value: &Value| wanted(&value["op"], value.get("value").unwrap_or(&Value::Null));
    let (code, place) = match old["op"] == new["op"] {
        true => ("clause.threshold", format!("{path}/value")),
        false => ("clause.changed", format!("{path}/op")),
    };
    let sentence = format!(
        "{whose}: {name} is wanted {} now, and was {}",
        words(new),
        words(old)
    );
    told.tell(code, place, sentence, old, new);
}

fn window(told: &mut Told, path: &str, whose: &str, old: &Value, new: &Value) {
    let path = format!("{path}/time");
    if old["from"] != new["from"] || old["to"] != new["to"] {
        let sentence = format!(
            "{whose}: the window moved from {} to {}",
            span(old),
            span(new)
        );
        told.tell("window.moved", path.as_str(), sentence, old, new);
    }
    if old["weekdays"] != new["weekdays"] {
        let sentence = format!(
            "{whose}: the window's days changed from {} to {}",
            days(old),
            days(new)
        );
        let place = format!("{path}/weekdays");
        told.tell(
            "window.days",
            place,
            sentence,
            &old["weekdays"],
            &new["weekdays"],
        );
    }
    if old["zone"] != new["zone"] {
        let sentence = format!(
            "{whose}: the window's zone changed from {} to {}",
            zone(old),
            zone(new)
        );
        told.tell(
            "window.zone",
            format!("{path}/zone"),
            sentence,
            &old["zone"],
            &new["zone"],
        );
    }
}

/// The parts of a group; a clause alone is a group of one.
fn list(value: &Value) -> Vec<&Value> {
    match group_of(value).and_then(|group| value[group].as_array()) {
        Some(parts) => parts.iter().collect(),
        None => vec![value],
    }
}

fn parts(told: &mut Told, path: &str, whose: &str, group: &str, old: &Value, new: &Value) {
    let began = told.count();
    let (before, after) = (list(old), list(new));
    let place = |of: &Value, index: usize| match group_of(of) {
        Some(_) => format!("{path}/{group}/{index}"),
        None => path.to_owned(),
    };
    let mut gone: Vec<usize> = (0..before.len()).collect();
    let mut partner: Vec<Option<usize>> = vec![None; after.len()];
    // Equal ones first, then those that ask about the same thing.
    for is_same in [same as fn(&Value, &Value) -> bool, alike] {
        for (index, part) in after.iter().enumerate() {
            if partner[index].is_none()
                && let Some(found) = gone.iter().position(|old| is_same(before[*old], part))
            {
                partner[index] = Some(gone.remove(found));
            }
        }
    }
    for (index, part) in after.iter().enumerate() {
        let path = place(new, index);
        match partner[index] {
            Some(one) if before[one] == *part => {}
            Some(one) => changed(told, &path, whose, before[one], part),
            // What is asked besides narrows, what is enough as well widens: never the same words.
            None if group == "any" => {
                let sentence = format!("{whose}: the clause “{}” is enough now, too", clause(part));
                told.tell("alternative.added", path, sentence, &Value::Null, part);
            }
            None => {
                let sentence = format!("{whose}: the clause “{}” is new", clause(part));
                told.tell("clause.added", path, sentence, &Value::Null, part);
            }
        }
    }
    for index in gone {
        let words = clause(before[index]);
        let (code, sentence) = match group {
            "any" => (
                "alternative.removed",
                format!("{whose}: the clause “{words}” is not enough any more"),
            ),
            _ => (
                "clause.removed",
                format!("{whose}: the clause “{words}” is gone"),
            ),
        };
        told.tell(
            code,
            place(old, index),
            sentence,
            before[index],
            &Value::Null,
        );
    }
    if told.count() > began {
        return;
    }
    let order: Vec<usize> = partner.into_iter().flatten().collect();
    if order.is_sorted() {
        let sentence = format!(
            "{whose}: the same clauses are grouped otherwise: {} became {}",
            clause(old),
            clause(new)
        );
        told.tell("clause.grouped", path, sentence, old, new);
    } else {
        let sentence = format!("{whose}: the clauses are asked in another order");
        told.tell(
            "clause.moved",
            format!("{path}/{group}"),
            sentence,
            old,
            new,
        );
    }
}

fn same(one: &Value, other: &Value) -> bool {
    one == other
}

/// Both ask about the same thing.
fn alike(one: &Value, other: &Value) -> bool {
    let asked = kind(one);
    asked == kind(other)
        && match asked {
            "field" => one["field"] == other["field"],
            "fact" => one["fact"] == other["fact"],
            "not" => alike(&one["not"], &other["not"]),
            "" => false,
            _ => true,
        }
}

/// The condition and the rest of a `wait_for`.
pub(super) fn wait(told: &mut Told, path: &str, whose: &str, old: &Value, new: &Value) {
    condition(
        told,
        &format!("{path}/if"),
        &format!("{whose}, its wait"),
        &old["if"],
        &new["if"],
    );
    let rest = |value: &Value| {
        let mut value = value.clone();
        if let Some(map) = value.as_object_mut() {
            map.shift_remove("if");
        }
        value
    };
    let name = format!("{whose}: the wait for {}", bare(&new["event"]));
    values(told, "step.wait", path, &name, &rest(old), &rest(new));
}
