//! Triggers, known by their ids.
//!
//! Invariant: a trigger is new, gone, moved or changed in named parts.

use serde_json::Value;

use super::{
    Told, members, schedules, values,
    words::{bare, zone},
};

/// The place and value of the member of a list with an id.
fn by_id<'a>(list: &'a Value, id: &Value) -> Option<(usize, &'a Value)> {
    let items = list.as_array()?.iter().enumerate();
    items.into_iter().find(|(_, one)| one["id"] == *id)
}

fn items(list: &Value) -> &[Value] {
    list.as_array().map_or(&[], Vec::as_slice)
}

pub(super) fn triggers(told: &mut Told, old: &Value, new: &Value) {
    let began = told.count();
    for (index, trigger) in items(new).iter().enumerate() {
        let path = format!("/triggers/{index}");
        match by_id(old, &trigger["id"]) {
            None => {
                let sentence = format!("{} starts the rule, too", described(trigger));
                told.tell("trigger.added", path, sentence, &Value::Null, trigger);
            }
            Some((_, former)) if former != trigger => changed(told, &path, former, trigger),
            Some(_) => {}
        }
    }
    for (index, trigger) in items(old).iter().enumerate() {
        if by_id(new, &trigger["id"]).is_none() {
            let sentence = format!("{} starts the rule no longer", described(trigger));
            let path = format!("/triggers/{index}");
            told.tell("trigger.removed", path, sentence, trigger, &Value::Null);
        }
    }
    if told.count() == began {
        let sentence = "the triggers are tried in another order";
        told.tell("trigger.moved", "/triggers", sentence, old, new);
    }
}

fn described(trigger: &Value) -> String {
    let (id, kind) = (bare(&trigger["id"]), bare(&trigger["kind"]));
    if schedules::is_schedule(&kind) {
        let with = members(&trigger["with"]);
        return format!(
            "trigger {id}, {}, {},",
            schedules::words(&kind, &with),
            zone(&trigger["with"])
        );
    }
    format!("trigger {id} ({kind})")
}

fn changed(told: &mut Told, path: &str, old: &Value, new: &Value) {
    let id = bare(&new["id"]);
    let kind = bare(&new["kind"]);
    if old["kind"] != new["kind"] {
        let sentence = format!(
            "trigger {id} is {} now, and was {}",
            described(new),
            described(old)
        );
        told.tell("trigger.kind", format!("{path}/kind"), sentence, old, new);
    } else if schedules::is_schedule(&kind) {
        schedule(told, path, &kind, old, new);
    } else {
        let (one, other) = (
            Value::Object(members(&old["with"])),
            Value::Object(members(&new["with"])),
        );
        values(
            told,
            "trigger.parameter",
            &format!("{path}/with"),
            &format!("trigger {id}: with"),
            &one,
            &other,
        );
    }
    if old["catch_up"] != new["catch_up"] {
        let words = |value: &Value| match &value["catch_up"]["policy"] {
            Value::Null => "as usual".to_owned(),
            policy => match &value["catch_up"]["within"] {
                Value::Null => bare(policy),
                within => format!("{} within {}", bare(policy), bare(within)),
            },
        };
        let sentence = format!(
            "trigger {id}: missed moments are treated {} now, and were {}",
            words(new),
            words(old)
        );
        let place = format!("{path}/catch_up");
        told.tell(
            "trigger.catch_up",
            place,
            sentence,
            &old["catch_up"],
            &new["catch_up"],
        );
    }
}

fn schedule(told: &mut Told, path: &str, kind: &str, old: &Value, new: &Value) {
    let id = bare(&new["id"]);
    let (mut one, mut other) = (members(&old["with"]), members(&new["with"]));
    let place = format!("{path}/with");
    if one.get("zone") != other.get("zone") {
        let sentence = format!(
            "trigger {id}: the zone of its schedule changed from {} to {}",
            zone(&old["with"]),
            zone(&new["with"])
        );
        let null = Value::Null;
        let (was, is) = (
            one.get("zone").unwrap_or(&null),
            other.get("zone").unwrap_or(&null),
        );
        told.tell("schedule.zone", format!("{place}/zone"), sentence, was, is);
    }
    one.shift_remove("zone");
    other.shift_remove("zone");
    if one == other {
        return;
    }
    let (was, is) = (schedules::words(kind, &one), schedules::words(kind, &other));
    if was == is {
        let (one, other) = (Value::Object(one), Value::Object(other));
        values(
            told,
            "schedule.changed",
            &place,
            &format!("trigger {id}: with"),
            &one,
            &other,
        );
        return;
    }
    let sentence = format!("trigger {id}: its schedule moved from {was} to {is}");
    told.tell(
        "schedule.changed",
        place,
        sentence,
        &old["with"],
        &new["with"],
    );
}
