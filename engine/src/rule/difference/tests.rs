//! The semantic difference: its words, and that nothing a document can say escapes it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use so_model::{case::Case, difference::RuleChange, rule::RuleDocument};

use super::{cases_difference, difference, fields::KNOWN};

/// A document that uses every field of the grammar.
fn whole() -> Value {
    json!({
        "version": 1, "name": "All of it", "notes": "why", "enabled": true,
        "triggers": [
            {"id": "t", "kind": "time.cron", "with": {"expression": "0 9 * * *", "zone": "Europe/Berlin"},
             "catch_up": {"policy": "late", "within": "1h"}},
            {"id": "u", "kind": "feed.item", "with": {"feed": "feed_1"}}],
        "if": {"all": [
            {"field": "event.data.likes", "op": "gt", "value": 100},
            {"any": [{"not": {"expr": "event.data.muted"}},
                     {"time": {"from": "09:00", "to": "17:00", "weekdays": ["mon"], "zone": "Europe/Berlin"}}]},
            {"fact": "queue_length", "of": {"queue": "queue_1"}, "op": "lt", "value": 5}]},
        "steps": [
            {"id": "a", "notes": "n", "action": "post.create", "with": {"text": "{{ event.data.title }}", "labels": ["x", "y"]},
             "retry": {"tries": 3, "first": "1s", "factor": 2.0, "cap": "1m", "jitter": 0.0},
             "on_error": [{"id": "a1", "stop": {"reason": "no"}}]},
            {"id": "b", "if": {"expr": "true"}, "then": [{"id": "b0", "set": {"y": 2}}],
             "else": [{"id": "b1", "set": {"x": 1}}]},
            {"id": "c", "choose": [{"if": {"expr": "true"}, "then": [{"id": "c0", "set": {"y": 2}}]}],
             "otherwise": [{"id": "c1", "set": {"y": 2}}]},
            {"id": "d", "for_each": {"items": "{{ event.data.list }}", "max": 7, "parallel": 2},
             "do": [{"id": "d0", "set": {"y": 2}}], "timeout": "1h", "on_error": [{"id": "d1", "stop": {}}]},
            {"id": "e", "parallel": [[{"id": "e0", "set": {"y": 2}}], []]},
            {"id": "f", "delay": {"for": "10m"}},
            {"id": "f2", "delay": {"until": "2027-01-01T00:00:00Z"}},
            {"id": "g", "wait_for": {"event": "post.approved", "subject": "{{ event.subject }}",
             "if": {"expr": "true"}, "timeout": "1d", "on_timeout": "fail"}},
            {"id": "h", "stop": {"reason": "done", "error": true}}],
        "mode": {"kind": "queued", "key": "{{ event.subject }}", "max": 3},
        "throttle": {"max": 1, "per": "1h", "key": "k"}, "debounce": {"for": "5m", "key": "k"},
        "dedupe": {"key": "{{ event.data.id }}", "within": "1d"},
        "limits": {"max_depth": 4, "max_runs_per_hour": 9, "max_events_per_run": 8}, "silent_after": "2d",
        "inputs": {"name": {"type": "text", "description": "whom", "default": "Ann"}}
    })
}

fn document(value: &Value) -> RuleDocument {
    serde_json::from_value(value.clone()).unwrap()
}

fn of(change: impl FnOnce(&mut Value)) -> Vec<RuleChange> {
    let mut after = whole();
    change(&mut after);
    difference(&document(&whole()), &document(&after))
}

fn told(change: impl FnOnce(&mut Value)) -> (String, String, String) {
    let mut found = of(change);
    assert_eq!(found.len(), 1, "{found:#?}");
    let one = found.remove(0);
    (one.code, one.path, one.sentence)
}

fn expect(change: impl FnOnce(&mut Value), code: &str, path: &str, sentence: &str) {
    let (found, place, words) = told(change);
    assert_eq!(
        (found.as_str(), place.as_str(), words.as_str()),
        (code, path, sentence)
    );
}

#[test]
fn a_change_is_told_as_a_person_would() {
    expect(
        |rule| {
            let window = &mut rule["if"]["all"][1]["any"][1]["time"];
            window["from"] = json!("08:00");
            window["to"] = json!("18:00");
        },
        "window.moved",
        "/if/all/1/any/1/time",
        "the rule: the window moved from 9–17 to 8–18",
    );
    expect(
        |rule| rule["if"]["all"][0]["value"] = json!(50),
        "clause.threshold",
        "/if/all/0/value",
        "the rule: likes is wanted more than 50 now, and was more than 100",
    );
    expect(
        |rule| rule["triggers"][0]["with"]["expression"] = json!("30 10 * * MON-FRI"),
        "schedule.changed",
        "/triggers/0/with",
        "trigger t: its schedule moved from every day at 9:00 to on MON-FRI at 10:30",
    );
    expect(
        |rule| {
            rule["triggers"][0]["with"]
                .as_object_mut()
                .unwrap()
                .shift_remove("zone");
        },
        "schedule.zone",
        "/triggers/0/with/zone",
        "trigger t: the zone of its schedule changed from Europe/Berlin to the workspace's zone",
    );
    expect(
        |rule| rule["throttle"]["max"] = json!(5),
        "throttle.changed",
        "/throttle",
        "the bound on starts changed from at most 1 in 1h for each k to at most 5 in 1h for each k",
    );
    expect(
        |rule| rule["steps"][0]["with"]["text"] = json!("Hello"),
        "step.parameter",
        "/steps/0/with/text",
        "step a.text changed from “{{ event.data.title }}” to “Hello”",
    );
    expect(
        |rule| {
            rule["if"]["all"].as_array_mut().unwrap().remove(0);
        },
        "clause.removed",
        "/if/all/0",
        "the rule: the clause “likes: more than 100” is gone",
    );
    expect(
        |rule| rule["mode"]["kind"] = json!("single"),
        "mode.changed",
        "/mode/kind",
        "mode.kind changed from “queued” to “single”",
    );
    expect(
        |rule| rule["enabled"] = json!(false),
        "enabled.changed",
        "/enabled",
        "the rule is switched off",
    );
}

#[test]
fn a_step_is_known_by_its_id_wherever_it_stands() {
    let shifted = |rule: &mut Value| {
        let steps = rule["steps"].as_array_mut().unwrap();
        let first = steps.remove(0);
        steps.insert(3, first);
    };
    expect(
        shifted,
        "step.moved",
        "/steps/3",
        "step a comes after step d now",
    );
    let inward = |rule: &mut Value| {
        let step = rule["steps"].as_array_mut().unwrap().remove(5);
        rule["steps"][1]["then"].as_array_mut().unwrap().push(step);
    };
    expect(
        inward,
        "step.moved",
        "/steps/1/then/1",
        "step f moved from the rule to then of step b",
    );
    // What lies within a new step comes with it; what was there before is moved.
    let wrapped = of(|rule| {
        let step = rule["steps"].as_array_mut().unwrap().remove(0);
        let around =
            json!({"id": "z", "if": {"expr": "x"}, "then": [step, {"id": "z1", "set": {"q": 1}}]});
        rule["steps"].as_array_mut().unwrap().insert(0, around);
    });
    let codes: Vec<_> = wrapped.iter().map(|one| one.code.as_str()).collect();
    assert_eq!(codes, ["step.added", "step.moved"], "{wrapped:#?}");
    let gone = of(|rule| {
        rule["steps"].as_array_mut().unwrap().remove(1);
    });
    assert_eq!(gone.len(), 1, "{gone:#?}");
    assert_eq!(
        (gone[0].code.as_str(), gone[0].path.as_str()),
        ("step.removed", "/steps/1")
    );
}

#[test]
fn a_clause_beside_another_makes_a_group_of_it() {
    let alone = json!({"field": "event.data.likes", "op": "gt", "value": 1});
    let mut one = whole();
    one["if"] = alone.clone();
    let mut other = whole();
    other["if"] = json!({"all": [{"expr": "x"}, alone]});
    let found = difference(&document(&one), &document(&other));
    assert_eq!(found.len(), 1, "{found:#?}");
    assert_eq!(
        (found[0].code.as_str(), found[0].path.as_str()),
        ("clause.added", "/if/all/0")
    );
    let back = difference(&document(&other), &document(&one));
    assert_eq!(
        (back.len(), back[0].code.as_str()),
        (1, "clause.removed"),
        "{back:#?}"
    );
}

#[test]
fn a_clause_that_is_enough_as_well_is_not_told_like_one_that_is_asked_besides() {
    let (alone, more) = (
        json!({"field": "event.data.likes", "op": "gt", "value": 1}),
        json!({"expr": "x"}),
    );
    let with = |condition: Value| {
        let mut made = whole();
        made["if"] = condition;
        document(&made)
    };
    let one = with(alone.clone());
    for either in [
        with(json!({"any": [alone, more]})),
        with(json!({"any": [more, alone]})),
    ] {
        let words = |from: &RuleDocument, to: &RuleDocument| {
            let found = difference(from, to);
            assert_eq!(found.len(), 1, "{found:#?}");
            (found[0].code.clone(), found[0].sentence.clone())
        };
        let (code, sentence) = words(&one, &either);
        assert_eq!(code, "alternative.added");
        assert_eq!(sentence, "the rule: the clause “`x`” is enough now, too");
        let (code, sentence) = words(&either, &one);
        assert_eq!(code, "alternative.removed");
        assert_eq!(
            sentence,
            "the rule: the clause “`x`” is not enough any more"
        );
    }
    expect(
        |rule| {
            let either = rule["if"]["all"][1]["any"].as_array_mut().unwrap();
            either.remove(0);
        },
        "alternative.removed",
        "/if/all/1/any/0",
        "the rule: the clause “not (`event.data.muted`)” is not enough any more",
    );
}

#[test]
fn cases_are_known_by_their_names() {
    let case = |name: &str, fires| Case {
        name: name.into(),
        fires: Some(fires),
        ..Case::default()
    };
    let found = cases_difference(
        &[case("a", true), case("b", true), case("c", true)],
        &[case("c", true), case("b", false), case("d", true)],
    );
    let codes: Vec<_> = found
        .iter()
        .map(|one| (one.code.as_str(), one.path.as_str()))
        .collect();
    assert_eq!(
        codes,
        [
            ("case.changed", "/cases/1"),
            ("case.added", "/cases/2"),
            ("case.removed", "/cases/0")
        ]
    );
}

/// Every value of a document with its pointer.
fn places(value: &Value, path: &str, into: &mut Vec<String>) {
    into.push(path.to_owned());
    match value {
        Value::Object(map) => {
            for (key, inner) in map {
                places(inner, &crate::rule::join(path, key), into);
            }
        }
        Value::Array(items) => {
            for (index, inner) in items.iter().enumerate() {
                places(inner, &format!("{path}/{index}"), into);
            }
        }
        _ => {}
    }
}

/// Other values for one place.
fn others(value: &Value) -> Vec<Value> {
    let mut found = vec![
        json!(7),
        json!("other"),
        json!({"k": 1}),
        json!([1]),
        json!(true),
        Value::Null,
    ];
    match value {
        Value::Number(number) => found.extend([
            json!(number.as_f64().unwrap_or(0.0) + 1.0),
            json!(number.as_u64().unwrap_or(1) + 1),
        ]),
        Value::Bool(on) => found.push(json!(!on)),
        Value::String(text) => found.push(json!(format!("{text}x"))),
        Value::Array(items) => {
            for index in 0..items.len() {
                let mut fewer = items.clone();
                fewer.remove(index);
                found.push(Value::Array(fewer));
            }
            found.push(Value::Array(items.iter().rev().cloned().collect()));
            found.push(Value::Array(items.iter().chain(items).cloned().collect()));
        }
        Value::Object(map) => {
            for key in map.keys() {
                let mut fewer = map.clone();
                fewer.shift_remove(key);
                found.push(Value::Object(fewer));
            }
        }
        Value::Null => {}
    }
    // Names of enumerations.
    let names = ["single", "restart", "lt", "eq", "go_on", "number", "once"];
    found.extend(names.map(|name| json!(name)));
    found.push(json!({"policy": "skip"}));
    found
}

#[test]
fn equal_documents_have_no_difference_and_any_single_change_is_told_at_its_place() {
    let base = document(&whole());
    assert!(difference(&base, &base).is_empty());
    let value = serde_json::to_value(&base).unwrap();
    let mut all = Vec::new();
    places(&value, "", &mut all);
    let mut tried = 0;
    for place in all.iter().filter(|place| !place.is_empty()) {
        for other in others(value.pointer(place).unwrap()) {
            let mut changed = value.clone();
            *changed.pointer_mut(place).unwrap() = other;
            let Ok(changed) = serde_json::from_value::<RuleDocument>(changed) else {
                continue;
            };
            if changed == base {
                continue;
            }
            tried += 1;
            for (one, two) in [(&base, &changed), (&changed, &base)] {
                let found = difference(one, two);
                let is_placed = found.iter().any(|one| {
                    place.starts_with(&one.path) || one.path.starts_with(place.as_str())
                });
                assert!(is_placed, "{place}: {found:#?}");
                assert!(
                    found
                        .iter()
                        .all(|one| !one.sentence.is_empty() && !one.code.is_empty())
                );
            }
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn the_document_of_these_tests_uses_every_field_of_the_grammar() {
    fn used(value: &Value, into: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    into.insert(key.clone());
                    used(inner, into);
                }
            }
            Value::Array(items) => items.iter().for_each(|inner| used(inner, into)),
            _ => {}
        }
    }
    fn properties(schema: &Value, into: &mut BTreeSet<String>) {
        match schema {
            Value::Object(map) => {
                if let Some(Value::Object(own)) = map.get("properties") {
                    into.extend(own.keys().cloned());
                }
                map.values().for_each(|inner| properties(inner, into));
            }
            Value::Array(items) => items.iter().for_each(|inner| properties(inner, into)),
            _ => {}
        }
    }
    let schema = crate::rule::schema();
    let mut wanted = BTreeSet::new();
    properties(&schema, &mut wanted);
    let mut have = BTreeSet::new();
    used(&whole(), &mut have);
    let missing: Vec<_> = wanted.difference(&have).collect();
    assert!(
        missing.is_empty(),
        "{missing:?}: add them above, and words for them"
    );
    let root: BTreeSet<&str> = schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(root, KNOWN.into_iter().collect());
}
