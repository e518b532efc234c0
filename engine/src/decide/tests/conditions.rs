//! Conditions: what holds, and the sentence that says so.

use serde_json::{Value, json};
use so_model::{Timestamp, run::ConditionTrace};

use crate::decide::{DecisionInput, FactRequest, FactValues, Facts, RunFacts, TriggerFacts};

use super::{Dice, compile, event, now, workspace};

fn data() -> Value {
    json!({
        "feed": "feed_1", "title": "Neue ÄPFEL und Birnen", "plain": "Hello World", "likes": 87, "ratio": 0.5,
        "big": 18_446_744_073_709_551_615_u64, "labels": ["News", "a", 3], "none": null, "empty": "", "list": [],
        "map": {}, "muted": false, "at": "2026-11-25T12:00:00+01:00", "number": "87",
        "author": {"name": "n"}, "items": [{"x": 1}, {"x": 2}]
    })
}

fn look(condition: Value, data: Value, now: Timestamp, values: &FactValues) -> ConditionTrace {
    let rule = compile(json!({"if": condition}));
    let (event, workspace) = (event("feed.item", data), workspace());
    let input = DecisionInput::new(&event, &workspace, now, values);
    let facts = input.facts_for(&rule, 0);
    let trace = rule.condition().unwrap().explain(&facts);
    agree(&rule.condition().unwrap().holds(&facts), &trace);
    trace
}

fn agree(held: &Result<bool, crate::decide::Fault>, trace: &ConditionTrace) {
    match held {
        Ok(held) => assert_eq!(
            (Some(*held), None),
            (trace.held, trace.error.as_deref()),
            "{trace:#?}"
        ),
        Err(fault) => assert_eq!(
            (Some(false), Some(fault.to_string())),
            (trace.held, trace.error.clone()),
            "{trace:#?}"
        ),
    }
}

fn compare(field: &str, op: &str, value: Value) -> ConditionTrace {
    let mut node = json!({"field": format!("event.data.{field}"), "op": op});
    if !value.is_null() {
        node["value"] = value;
    }
    look(node, data(), now(), &FactValues::new())
}

#[test]
fn comparisons_hold_as_their_names_say() {
    let none = Value::Null;
    for (field, op, value, held) in [
        ("likes", "eq", json!(87.0), true),
        ("likes", "eq", json!("87"), false),
        ("number", "eq", json!("87"), true),
        ("likes", "ne", json!(87), false),
        ("likes", "ne", json!("x"), true),
        ("likes", "gt", json!(86.5), true),
        ("likes", "gt", json!(87), false),
        ("likes", "ge", json!(87), true),
        ("likes", "lt", json!(87), false),
        ("likes", "le", json!(87), true),
        ("ratio", "lt", json!(1), true),
        ("big", "gt", json!(9_223_372_036_854_775_807_i64), true),
        ("big", "eq", json!(18_446_744_073_709_551_614_u64), false),
        ("at", "lt", json!("2026-11-25T11:30:00Z"), true),
        ("at", "ge", json!("2026-11-25T11:00:00Z"), true),
        ("title", "contains", json!("äpfel"), true),
        ("plain", "contains", json!("O W"), true),
        ("plain", "contains", json!("xyz"), false),
        (
            "plain",
            "contains",
            json!("hello world and much more text than there is"),
            false,
        ),
        ("title", "not_contains", json!("BIRNEN"), false),
        ("labels", "contains", json!("news"), true),
        ("labels", "contains", json!("new"), false),
        ("labels", "contains", json!(3.0), true),
        ("plain", "starts_with", json!("hello"), true),
        ("plain", "ends_with", json!("WORLD"), true),
        ("title", "starts_with", json!("neue ä"), true),
        ("title", "ends_with", json!("birnen"), true),
        ("plain", "starts_with", json!("hello world!!"), false),
        ("plain", "matches", json!("^Hel+o"), true),
        ("plain", "matches", json!("^hello"), false),
        ("likes", "in", json!([1, 87]), true),
        ("plain", "in", json!(["hello world"]), false),
        ("likes", "not_in", json!([1, 2]), true),
        ("likes", "exists", none.clone(), true),
        ("none", "exists", none.clone(), false),
        ("list", "is_empty", none.clone(), true),
        ("map", "is_empty", none.clone(), true),
        ("empty", "is_empty", none.clone(), true),
        ("likes", "is_empty", none.clone(), false),
        ("muted", "eq", json!(false), true),
        ("items.1.x", "eq", json!(2), true),
        ("author.name", "eq", json!("n"), true),
        ("labels.9", "exists", none.clone(), false),
    ] {
        let trace = compare(field, op, value.clone());
        assert_eq!(
            (trace.held, trace.error.as_deref()),
            (Some(held), None),
            "{field} {op} {value}: {}",
            trace.text
        );
    }
}

#[test]
fn an_absent_value_satisfies_only_what_denies() {
    for (op, value, held) in [
        ("eq", json!(1), false),
        ("ne", json!(1), true),
        ("gt", json!(1), false),
        ("le", json!(1), false),
        ("contains", json!("x"), false),
        ("not_contains", json!("x"), true),
        ("starts_with", json!("x"), false),
        ("matches", json!(".*"), false),
        ("in", json!([1]), false),
        ("not_in", json!([1]), true),
        ("exists", Value::Null, false),
        ("is_empty", Value::Null, true),
    ] {
        let trace = compare("absent.deep", op, value);
        assert_eq!(
            (trace.held, trace.error.clone()),
            (Some(held), None),
            "{op}: {}",
            trace.text
        );
    }
}

#[test]
fn a_value_of_the_wrong_type_is_an_error_that_does_not_hold() {
    for (field, op, value, wanted) in [
        ("number", "gt", json!(5), "a number"),
        ("likes", "gt", json!("2026-01-01T00:00:00Z"), "a moment"),
        ("plain", "lt", json!("2026-01-01T00:00:00Z"), "a moment"),
        ("likes", "starts_with", json!("8"), "a text"),
        ("author", "contains", json!("n"), "a text or a list"),
        ("muted", "matches", json!("f"), "a text"),
    ] {
        let trace = compare(field, op, value);
        assert_eq!(trace.held, Some(false), "{field} {op}");
        assert!(
            trace.error.as_deref().unwrap().ends_with(wanted),
            "{field} {op}: {:?}",
            trace.error
        );
    }
}

#[test]
fn sentences_say_what_was_seen_and_what_was_wanted() {
    for (field, op, value, text) in [
        (
            "likes",
            "gt",
            json!(100),
            "likes is 87, wanted more than 100",
        ),
        (
            "plain",
            "contains",
            json!("bread"),
            "plain is \"Hello World\", wanted \"bread\" in it",
        ),
        ("absent", "eq", json!("x"), "absent is absent, wanted \"x\""),
        (
            "at",
            "gt",
            json!("2026-12-01T00:00:00Z"),
            "at is \"2026-11-25T12:00:00+01:00\", wanted after \"2026-12-01T00:00:00Z\"",
        ),
        (
            "labels",
            "in",
            json!(["x", "y"]),
            "labels is [\"News\",\"a\",3], wanted one of [\"x\",\"y\"]",
        ),
        (
            "likes",
            "exists",
            Value::Null,
            "likes is 87, wanted anything",
        ),
    ] {
        assert_eq!(compare(field, op, value).text, text);
    }
    let long = look(
        json!({"field": "event.data.title", "op": "eq", "value": "x"}),
        json!({"title": "y".repeat(100_000), "feed": "feed_1"}),
        now(),
        &FactValues::new(),
    );
    assert!(
        long.text.len() < 300 && long.saw.as_str().unwrap().len() < 300,
        "{}",
        long.text.len()
    );
    let wide = look(
        json!({"field": "event.data.labels", "op": "contains", "value": "x"}),
        json!({"labels": vec!["y"; 10_000]}),
        now(),
        &FactValues::new(),
    );
    assert_eq!(wide.saw, json!("a list of 10000"));
}

#[test]
fn every_root_can_be_compared() {
    for (field, value) in [
        ("event.kind", json!("feed.item")),
        ("event.source", json!("feed/feed_1")),
        ("event.subject", json!("post_1")),
        ("event.time", json!(super::NOW)),
        ("workspace.name", json!("Bakery")),
        ("workspace.time_zone", json!("Europe/Berlin")),
        ("workspace.id", json!(workspace().id)),
        ("trigger.id", json!("t")),
        ("trigger.kind", json!("feed.item")),
    ] {
        let trace = look(
            json!({"field": field, "op": "eq", "value": value}),
            data(),
            now(),
            &FactValues::new(),
        );
        assert_eq!(trace.held, Some(true), "{}", trace.text);
        let script = json!({"expr": format!("{field} == \"{}\"", value.as_str().unwrap())});
        let trace = look(script, data(), now(), &FactValues::new());
        assert_eq!(
            (trace.held, trace.error.as_deref()),
            (Some(true), None),
            "{field}: {:?}",
            trace.error
        );
    }
}

#[test]
fn a_step_sees_its_run() {
    let rule = compile(json!({"steps": [
        {"id": "a", "set": {"x": "{{ event.data.likes + 1 }}", "y": "{{ trigger.id }}!"}},
        {"id": "b", "if": {"all": [{"field": "vars.x", "op": "eq", "value": 88}, {"expr": "vars.x == 88 && steps.a.output == 1 && run.id == \"r\""}]},
         "then": [{"id": "c", "choose": [{"if": {"field": "steps.a.output", "op": "eq", "value": 2}, "then": []}]}]},
        {"id": "d", "action": "script.run", "with": {"source": "let a = `{{ 1 }}`; a", "input": "{{ vars.x }}"}}]}));
    let (event, workspace, values) = (event("feed.item", data()), workspace(), FactValues::new());
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    let (vars, steps, run) = (
        json!({"x": 88}),
        json!({"a": {"output": 1}}),
        json!({"id": "r"}),
    );
    let facts = Facts::in_run(
        &input,
        TriggerFacts {
            id: "t",
            kind: "feed.item",
        },
        RunFacts {
            vars: &vars,
            steps: &steps,
            item: None,
            run: &run,
            seed: 1,
        },
    );
    assert_eq!(
        rule.condition_at("/steps/1/if").unwrap().holds(&facts),
        Ok(true)
    );
    let inner = rule
        .condition_at("/steps/1/then/0/choose/0/if")
        .unwrap()
        .explain(&facts);
    assert_eq!(
        (inner.held, inner.path.as_str()),
        (Some(false), "/steps/1/then/0/choose/0/if")
    );
    assert_eq!(
        rule.params_at("/steps/0/set")
            .unwrap()
            .render(facts.context())
            .unwrap(),
        json!({"x": 88, "y": "t!"})
    );
    let with = rule
        .params_at("/steps/2/with")
        .unwrap()
        .render(facts.context())
        .unwrap();
    assert_eq!(
        with,
        json!({"source": "let a = `{{ 1 }}`; a", "input": 88}),
        "a script is left as written"
    );
    assert!(
        rule.condition_at("/steps/0/if").is_none() && rule.params_at("/steps/1/with").is_none()
    );
}

#[test]
fn parts_join_and_errors_count_only_when_nothing_settles() {
    let (yes, no, bad) = (
        json!({"expr": "true"}),
        json!({"expr": "false"}),
        json!({"expr": "event.data.nothing > 1"}),
    );
    for (node, held, error, text) in [
        (json!({"all": [yes, yes]}), true, false, "all 2 parts hold"),
        (
            json!({"all": [yes, no, bad]}),
            false,
            false,
            "part 2 of 3 does not hold",
        ),
        (
            json!({"all": [bad, no]}),
            false,
            false,
            "part 2 of 2 does not hold",
        ),
        (
            json!({"all": [bad, yes]}),
            false,
            true,
            "part 1 of 2 could not be decided",
        ),
        (
            json!({"any": [bad, yes, no]}),
            true,
            false,
            "part 2 of 3 holds",
        ),
        (
            json!({"any": [no, no]}),
            false,
            false,
            "none of 2 parts holds",
        ),
        (
            json!({"any": [no, bad]}),
            false,
            true,
            "part 2 of 2 could not be decided",
        ),
        (json!({"all": []}), true, false, "no part, so all hold"),
        (json!({"any": []}), false, false, "no part, so none holds"),
        (
            json!({"not": no}),
            true,
            false,
            "the part does not hold, as wanted",
        ),
        (
            json!({"not": bad}),
            false,
            true,
            "the part could not be decided",
        ),
    ] {
        let trace = look(node.clone(), data(), now(), &FactValues::new());
        assert_eq!(
            (trace.held, trace.error.is_some(), trace.text.as_str()),
            (Some(held), error, text),
            "{node}"
        );
    }
    let trace = look(json!({"all": [no, yes]}), data(), now(), &FactValues::new());
    assert_eq!(trace.parts[1].held, None, "what was not looked at says so");
    assert_eq!(trace.parts[1].path, "/if/all/1");
}

#[test]
fn windows_are_in_civil_time_and_cross_midnight() {
    for (window, at, held) in [
        (json!({"from": "09:00", "to": "17:06"}), super::NOW, true),
        (json!({"from": "09:00", "to": "17:05"}), super::NOW, false),
        (json!({"from": "17:05"}), super::NOW, true),
        (json!({"to": "17:05"}), super::NOW, false),
        (
            json!({"to": "17:06", "weekdays": ["wed"]}),
            super::NOW,
            true,
        ),
        (json!({"weekdays": ["mon", "tue"]}), super::NOW, false),
        (
            json!({"from": "16:00", "to": "16:30", "zone": "UTC"}),
            super::NOW,
            true,
        ),
        (
            json!({"weekdays": ["thu"], "zone": "Pacific/Auckland"}),
            super::NOW,
            true,
        ),
        (
            json!({"from": "22:00", "to": "02:00", "weekdays": ["fri"], "zone": "UTC"}),
            "2026-11-27T23:00:00Z",
            true,
        ),
        (
            json!({"from": "22:00", "to": "02:00", "weekdays": ["fri"], "zone": "UTC"}),
            "2026-11-28T01:59:59Z",
            true,
        ),
        (
            json!({"from": "22:00", "to": "02:00", "weekdays": ["fri"], "zone": "UTC"}),
            "2026-11-28T02:00:00Z",
            false,
        ),
        (
            json!({"from": "22:00", "to": "02:00", "weekdays": ["fri"], "zone": "UTC"}),
            "2026-11-27T01:00:00Z",
            false,
        ),
        (
            json!({"from": "22:00", "to": "02:00", "weekdays": ["sun"], "zone": "UTC"}),
            "2026-11-30T00:30:00Z",
            true,
        ),
        // The hour that Berlin has twice belongs to the window both times.
        (
            json!({"from": "02:30", "to": "02:40"}),
            "2026-10-25T00:35:00Z",
            true,
        ),
        (
            json!({"from": "02:30", "to": "02:40"}),
            "2026-10-25T01:35:00Z",
            true,
        ),
    ] {
        let trace = look(
            json!({"time": window}),
            data(),
            Timestamp::parse(at).unwrap(),
            &FactValues::new(),
        );
        assert_eq!(trace.held, Some(held), "{window} at {at}: {}", trace.text);
    }
    let trace = look(
        json!({"time": {"from": "09:00", "to": "17:00", "weekdays": ["mon", "wed"]}}),
        data(),
        now(),
        &FactValues::new(),
    );
    assert_eq!(
        trace.text,
        "it is wed 17:05 Europe/Berlin, wanted 09:00 to 17:00 on mon, wed"
    );
}

#[test]
fn facts_are_asked_for_once_and_read_under_their_key() {
    let condition = json!({"all": [
        {"fact": "queue_length", "of": {"queue": "q"}, "op": "lt", "value": 5},
        {"not": {"fact": "queue_length", "of": {"queue": "q"}, "op": "eq", "value": 4}},
        {"fact": "queue_length", "of": {"queue": "{{ event.data.feed }}"}, "op": "gt", "value": 1}]});
    let rule = compile(json!({"if": condition}));
    let (event, workspace, mut values) =
        (event("feed.item", data()), workspace(), FactValues::new());
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    let wanted = crate::decide::facts_needed(&rule, 0, &input);
    assert_eq!(wanted.len(), 2);
    assert_eq!(
        wanted[1],
        FactRequest {
            fact: "queue_length".into(),
            params: json!({"queue": "feed_1"}),
            key: wanted[1].key.clone()
        }
    );
    values.insert(wanted[0].key.clone(), json!(3));
    let missing = look(condition.clone(), data(), now(), &values);
    assert_eq!(
        (missing.held, missing.error.as_deref()),
        (Some(false), Some("the fact is not known"))
    );
    values.insert(wanted[1].key.clone(), json!(2));
    let trace = look(condition, data(), now(), &values);
    assert_eq!(trace.held, Some(true), "{trace:#?}");
    assert_eq!(trace.parts[2].text, "queue_length is 2, wanted more than 1");
}

fn random_condition(dice: &mut Dice, depth: usize) -> Value {
    let fields = [
        "likes", "title", "labels", "none", "absent", "ratio", "muted", "at", "author", "empty",
    ];
    match dice.roll(if depth > 3 { 4 } else { 8 }) {
        0 | 1 => {
            let field = format!("event.data.{}", dice.pick(&fields));
            let (op, value) = dice
                .pick(&[
                    ("eq", json!(87)),
                    ("ne", json!("x")),
                    ("gt", json!(50)),
                    ("le", json!("2026-11-25T11:00:00Z")),
                    ("contains", json!("äpfel")),
                    ("not_contains", json!(3)),
                    ("starts_with", json!("neue")),
                    ("ends_with", json!("n")),
                    ("matches", json!("a+")),
                    ("in", json!([87, "n"])),
                    ("not_in", json!([0.5])),
                ])
                .clone();
            json!({"field": field, "op": op, "value": value})
        }
        2 => {
            json!({"expr": dice.pick(&["true", "event.data.likes > 80", "event.data.nothing.at.all", "event.data.nothing ?? 2", "trigger.id == \"t\""])})
        }
        3 => match dice.roll(3) {
            0 => json!({"time": {"from": "09:00", "to": dice.pick(&["17:00", "18:00", "03:00"])}}),
            1 => {
                json!({"fact": "queue_length", "of": {"queue": dice.pick(&["known", "unknown", "{{ event.data.x.y }}"])}, "op": "gt", "value": 1})
            }
            _ => json!({"field": "event.data.likes", "op": dice.pick(&["exists", "is_empty"])}),
        },
        kind => {
            let parts: Vec<Value> = (0..dice.roll(4))
                .map(|_| random_condition(dice, depth + 1))
                .collect();
            match kind {
                4 | 5 => json!({"all": parts}),
                6 => json!({"any": parts}),
                _ => json!({"not": random_condition(dice, depth + 1)}),
            }
        }
    }
}

#[test]
fn the_quick_answer_and_the_trace_agree_on_any_condition() {
    let mut dice = Dice(7);
    let values: FactValues = [("queue_length:{\"queue\":\"known\"}".to_owned(), json!(2))].into();
    let mut outcomes = [0; 3];
    for _ in 0..600 {
        let trace = look(random_condition(&mut dice, 0), data(), now(), &values);
        outcomes[match (trace.held, &trace.error) {
            (_, Some(_)) => 2,
            (Some(held), None) => usize::from(held),
            (None, None) => panic!("{trace:#?}"),
        }] += 1;
    }
    assert!(
        outcomes.iter().all(|count| *count > 50),
        "every outcome is tried: {outcomes:?}"
    );
}
