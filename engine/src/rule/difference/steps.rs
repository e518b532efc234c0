//! Steps, known by their ids wherever they stand.
//!
//! Owns the flattening of both trees. Invariant: a step that stands elsewhere is moved and not removed and added; of a
//! new or removed step what lies within it is told with it.

use std::collections::HashMap;

use serde_json::Value;

use super::{
    Told, conditions, members, values,
    words::{bare, clause, plain},
};

/// A step without what lies within it, and where it stands.
struct Flat {
    id: String,
    path: String,
    /// What holds it: the step and its branch, or the rule.
    holder: String,
    own: Value,
    whole: Value,
    /// Id of the step that it lies in.
    parent: Option<String>,
}

/// Members that hold steps.
const WITHIN: [&str; 7] = [
    "on_error",
    "then",
    "else",
    "otherwise",
    "do",
    "parallel",
    "choose",
];

pub(super) fn steps(told: &mut Told, old: &Value, new: &Value) {
    let (mut before, mut after) = (Vec::new(), Vec::new());
    flatten(&mut before, old, "/steps", "the rule", None);
    flatten(&mut after, new, "/steps", "the rule", None);
    let old_by: HashMap<&str, &Flat> = before.iter().map(|flat| (flat.id.as_str(), flat)).collect();
    let new_by: HashMap<&str, &Flat> = after.iter().map(|flat| (flat.id.as_str(), flat)).collect();
    let moved = moved(&before, &after);
    for step in &after {
        let Some(former) = old_by.get(step.id.as_str()) else {
            // Its holder is new and is told with it.
            if step
                .parent
                .as_deref()
                .is_some_and(|parent| !old_by.contains_key(parent))
            {
                continue;
            }
            let sentence = format!(
                "step {} is new in {}: {}",
                step.id,
                step.holder,
                described(&step.whole)
            );
            told.tell(
                "step.added",
                step.path.as_str(),
                sentence,
                &Value::Null,
                &step.whole,
            );
            continue;
        };
        if former.holder != step.holder {
            let sentence = format!(
                "step {} moved from {} to {}",
                step.id, former.holder, step.holder
            );
            told.tell(
                "step.moved",
                step.path.as_str(),
                sentence,
                &former.path.as_str().into(),
                &step.path.as_str().into(),
            );
        } else if let Some(neighbour) = moved.get(step.id.as_str()) {
            let sentence = format!("step {} comes {neighbour} now", step.id);
            told.tell(
                "step.moved",
                step.path.as_str(),
                sentence,
                &former.path.as_str().into(),
                &step.path.as_str().into(),
            );
        }
        if former.own != step.own {
            changed(told, step, former);
        }
    }
    for step in &before {
        let is_told = step
            .parent
            .as_deref()
            .is_some_and(|parent| !new_by.contains_key(parent));
        if !new_by.contains_key(step.id.as_str()) && !is_told {
            let sentence = format!(
                "step {} is gone from {}: {}",
                step.id,
                step.holder,
                described(&step.whole)
            );
            told.tell(
                "step.removed",
                step.path.as_str(),
                sentence,
                &step.whole,
                &Value::Null,
            );
        }
    }
}

fn flatten(into: &mut Vec<Flat>, list: &Value, path: &str, holder: &str, parent: Option<&str>) {
    for (index, step) in items(list).iter().enumerate() {
        let path = format!("{path}/{index}");
        let id = bare(&step["id"]);
        into.push(Flat {
            id: id.clone(),
            path: path.clone(),
            holder: holder.to_owned(),
            own: own(step),
            whole: step.clone(),
            parent: parent.map(ToOwned::to_owned),
        });
        for key in WITHIN {
            let inner = &step[key];
            let slot = format!("{path}/{key}");
            match key {
                "parallel" => {
                    for (branch, steps) in items(inner).iter().enumerate() {
                        let holder = format!("branch {} of step {id}", branch + 1);
                        flatten(into, steps, &format!("{slot}/{branch}"), &holder, Some(&id));
                    }
                }
                "choose" => {
                    for (branch, one) in items(inner).iter().enumerate() {
                        let holder = format!("choice {} of step {id}", branch + 1);
                        let slot = format!("{slot}/{branch}/then");
                        flatten(into, &one["then"], &slot, &holder, Some(&id));
                    }
                }
                _ => flatten(
                    into,
                    inner,
                    &slot,
                    &format!("{key} of step {id}"),
                    Some(&id),
                ),
            }
        }
    }
}

/// A step with, in place of what lies within it, that there is something.
fn own(step: &Value) -> Value {
    let mut own = members(step);
    for key in WITHIN {
        let Some(inner) = step.get(key) else { continue };
        let kept = match key {
            "parallel" => items(inner).len().into(),
            "choose" => items(inner)
                .iter()
                .map(|branch| branch["if"].clone())
                .collect(),
            _ => Value::Bool(true),
        };
        own.insert(key.into(), kept);
    }
    Value::Object(own)
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

/// Steps of one holder that stand in another order among those that stayed, each with its new neighbour.
fn moved<'a>(before: &'a [Flat], after: &'a [Flat]) -> HashMap<&'a str, String> {
    let mut found = HashMap::new();
    let place: HashMap<(&str, &str), usize> = before
        .iter()
        .enumerate()
        .map(|(at, flat)| ((flat.holder.as_str(), flat.id.as_str()), at))
        .collect();
    let mut holders: Vec<&str> = after.iter().map(|flat| flat.holder.as_str()).collect();
    holders.sort_unstable();
    holders.dedup();
    for holder in holders {
        let stayed: Vec<(&Flat, usize)> = after
            .iter()
            .filter(|flat| flat.holder == holder)
            .filter_map(|flat| Some((flat, *place.get(&(holder, flat.id.as_str()))?)))
            .collect();
        let order: Vec<usize> = stayed.iter().map(|(_, at)| *at).collect();
        let kept = longest_rising(&order);
        for (index, (flat, _)) in stayed.iter().enumerate() {
            if kept.contains(&index) {
                continue;
            }
            let neighbour = match index.checked_sub(1) {
                Some(before) => format!("after step {}", stayed[before].0.id),
                None => "first".to_owned(),
            };
            found.insert(flat.id.as_str(), neighbour);
        }
    }
    found
}

/// Indexes of a longest rising part: what stands there did not move.
fn longest_rising(order: &[usize]) -> Vec<usize> {
    // Steps of one holder are at most a hundred.
    let mut best: Vec<(usize, Option<usize>)> = Vec::with_capacity(order.len());
    for (index, value) in order.iter().enumerate() {
        let before = (0..index)
            .filter(|one| order[*one] < *value)
            .max_by_key(|one| best[*one].0);
        best.push((before.map_or(1, |one| best[one].0 + 1), before));
    }
    let mut at = (0..best.len()).max_by_key(|one| best[*one].0);
    let mut kept = Vec::new();
    while let Some(index) = at {
        kept.push(index);
        at = best[index].1;
    }
    kept
}

/// The one key that says what a step does.
fn kind(step: &Value) -> &'static str {
    [
        "action", "choose", "for_each", "parallel", "delay", "wait_for", "set", "stop", "if",
    ]
    .into_iter()
    .find(|key| step.get(*key).is_some())
    .unwrap_or("")
}

fn described(step: &Value) -> String {
    match kind(step) {
        "action" => bare(&step["action"]),
        "if" => format!("if {}", clause(&step["if"])),
        "choose" => format!(
            "a choice of {}",
            step["choose"].as_array().map_or(0, Vec::len)
        ),
        "for_each" => format!("for each of {}", plain(&step["for_each"]["items"])),
        "parallel" => "branches side by side".into(),
        "delay" => format!("a delay, {}", plain(&step["delay"])),
        "wait_for" => format!("a wait for {}", bare(&step["wait_for"]["event"])),
        "set" => {
            let names: Vec<String> = members(&step["set"]).keys().cloned().collect();
            format!("sets {}", names.join(", "))
        }
        "stop" => "the end of the run".into(),
        _ => "a step".into(),
    }
}

fn changed(told: &mut Told, step: &Flat, former: &Flat) {
    let (path, id) = (step.path.as_str(), step.id.as_str());
    let whose = format!("step {id}");
    if kind(&former.own) != kind(&step.own) || former.own["action"] != step.own["action"] {
        let sentence = format!(
            "{whose} is {} now, and was {}",
            described(&step.whole),
            described(&former.whole)
        );
        told.tell("step.kind", path, sentence, &former.whole, &step.whole);
        return;
    }
    let (one, other) = (members(&former.own), members(&step.own));
    for key in super::keys(&one, &other) {
        let (old, new) = (super::at(&one, key), super::at(&other, key));
        if old == new {
            continue;
        }
        let place = super::super::join(path, key);
        match key {
            "if" => conditions::condition(told, &place, &whose, old, new),
            "choose" => choices(told, &place, &whose, old, new),
            "wait_for" => conditions::wait(told, &place, &whose, old, new),
            "parallel" => {
                let sentence = format!("{whose} has {new} branches now, and had {old}");
                told.tell("step.branches", place, sentence, old, new);
            }
            "notes" => values(
                told,
                "step.notes",
                &place,
                &format!("{whose}: its notes"),
                old,
                new,
            ),
            "retry" => values(
                told,
                "step.retry",
                &place,
                &format!("{whose}: retry"),
                &object(old),
                &object(new),
            ),
            "timeout" => values(
                told,
                "step.timeout",
                &place,
                &format!("{whose}: its time limit"),
                old,
                new,
            ),
            "with" => values(
                told,
                "step.parameter",
                &place,
                &whose,
                &object(old),
                &object(new),
            ),
            "set" => values(
                told,
                "step.variable",
                &place,
                &whose,
                &object(old),
                &object(new),
            ),
            // A branch that came or went is told by its steps; an empty one changes nothing but is told below.
            key if WITHIN.contains(&key) => {}
            _ => values(
                told,
                "step.changed",
                &place,
                &format!("{whose}: {key}"),
                old,
                new,
            ),
        }
    }
}

fn object(value: &Value) -> Value {
    match value {
        Value::Null => Value::Object(serde_json::Map::new()),
        value => value.clone(),
    }
}

fn choices(told: &mut Told, path: &str, whose: &str, old: &Value, new: &Value) {
    let (one, other) = (old.as_array(), new.as_array());
    let empty = Vec::new();
    let (one, other) = (one.unwrap_or(&empty), other.unwrap_or(&empty));
    for index in 0..one.len().max(other.len()) {
        let null = Value::Null;
        let (old, new) = (
            one.get(index).unwrap_or(&null),
            other.get(index).unwrap_or(&null),
        );
        let whose = format!("{whose}, choice {}", index + 1);
        match (old, new) {
            (Value::Null, new) => {
                let sentence = format!("{whose} is new: if {}", clause(new));
                told.tell(
                    "step.choice_added",
                    format!("{path}/{index}"),
                    sentence,
                    old,
                    new,
                );
            }
            (old, Value::Null) => {
                let sentence = format!("{whose} is gone: if {}", clause(old));
                told.tell(
                    "step.choice_removed",
                    format!("{path}/{index}"),
                    sentence,
                    old,
                    new,
                );
            }
            (old, new) => {
                conditions::condition(told, &format!("{path}/{index}/if"), &whose, old, new)
            }
        }
    }
}
