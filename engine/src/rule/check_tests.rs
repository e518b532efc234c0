//! Wrong documents: each with the place, what was expected, and the name meant.

use serde_json::{Value, json};
use so_model::problem::FieldError;

use crate::script::{ScriptEngine, ScriptLimits};

use super::{
    check::validate,
    fixture::catalogue,
    text::{Format, parse},
};

fn scripts() -> ScriptEngine {
    ScriptEngine::new(ScriptLimits::default())
}

fn good() -> Value {
    json!({
        "version": 1, "name": "News", "notes": "why",
        "triggers": [{"id": "t", "kind": "feed.item", "with": {"feed": "feed_1"},
                      "catch_up": {"policy": "late", "within": "1h"}}],
        "if": {"all": [
            {"field": "event.data.likes", "op": "gt", "value": 100},
            {"any": [{"not": {"expr": "event.data.muted"}}, {"time": {"from": "09:00", "to": "17:00", "weekdays": ["mon"], "zone": "Europe/Berlin"}}]},
            {"fact": "queue_length", "of": {"queue": "{{ event.data.feed }}"}, "op": "lt", "value": 5}]},
        "steps": [
            {"id": "make", "action": "post.create", "with": {"text": "New: {{ event.data.title }}", "count": "{{ 1 + 1 }}"},
             "retry": {"tries": 3, "first": "1s", "cap": "1m"}},
            {"id": "pick", "if": {"field": "steps.make.output.id", "op": "exists"},
             "then": [{"id": "tell", "action": "notify"}], "else": [{"id": "end", "stop": {"reason": "no {{ event.data.title }}"}}]},
            {"id": "way", "choose": [{"if": {"expr": "event.data.likes == 200"}, "then": []}], "otherwise": []},
            {"id": "wait", "delay": {"for": "10m"}},
            {"id": "calc", "action": "script.run", "with": {"source": "let a = 1; a + 1"}},
            {"id": "keep", "set": {"x": "{{ event.data.likes }}"}}],
        "mode": {"kind": "queued", "key": "{{ event.subject }}", "max": 3},
        "throttle": {"max": 1, "per": "1h"}, "debounce": {"for": "5m"},
        "dedupe": {"key": "{{ event.data.title }}", "within": "7d"}, "limits": {"max_depth": 4}
    })
}

fn with(pointer: &str, value: Value) -> Value {
    let mut rule = good();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match rule.pointer_mut(parent).unwrap() {
        Value::Object(map) => {
            map.insert(key.into(), value);
        }
        Value::Array(items) => {
            let index: usize = key.parse().unwrap();
            items.truncate(index);
            items.push(value);
        }
        other => panic!("{other}"),
    }
    rule
}

fn errors(rule: &Value) -> Vec<FieldError> {
    validate(rule, &catalogue(), &scripts())
        .map(|_| ())
        .expect_err("accepted")
}

fn warnings(rule: &Value) -> Vec<FieldError> {
    validate(rule, &catalogue(), &scripts())
        .unwrap_or_else(|errors| panic!("{errors:#?}"))
        .warnings
}

#[test]
fn a_good_document_is_accepted_without_a_warning() {
    let found =
        validate(&good(), &catalogue(), &scripts()).unwrap_or_else(|errors| panic!("{errors:#?}"));
    assert!(found.warnings.is_empty(), "{:#?}", found.warnings);
    assert_eq!(found.document.steps.len(), 6);
}

/// Lines of: changed place, wrong value, place told, part of the reason, part of what was
/// expected, suggestion.
const WRONG: &str = include_str!("tests/wrong_documents.jsonl");

#[test]
fn each_wrong_document_is_told_at_its_place_with_what_was_meant() {
    let mut rows = 0;
    for line in WRONG.lines() {
        type Row = (String, Value, String, String, String, Option<String>);
        let (change, value, pointer, reason, expected, suggestion): Row =
            serde_json::from_str(line).unwrap();
        let told = errors(&with(&change, value));
        let first = &told[0];
        let shown = format!("{line}: {told:#?}");
        assert_eq!(told.len(), 1, "{shown}");
        assert_eq!(first.pointer, pointer, "{shown}");
        assert!(first.reason.contains(&reason), "{shown}");
        assert!(first.expected.contains(&expected), "{shown}");
        assert_eq!(first.suggestion, suggestion, "{shown}");
        rows += 1;
    }
    assert!(rows > 80, "{rows}");
}

#[test]
fn an_empty_list_of_what_stands_in_is_accepted() {
    let mut accepted = with("/steps/0/on_error", json!([]));
    accepted["steps"].as_array_mut().unwrap().truncate(1);
    assert!(warnings(&accepted).is_empty());
}

/// Place of a wrong script, its text, the place told, its line, the name meant.
type WrongScript = (
    &'static str,
    Value,
    &'static str,
    Option<u32>,
    Option<&'static str>,
);

fn wrong_scripts() -> Vec<WrongScript> {
    vec![
        (
            "/if",
            json!({"expr": "event.data.likes >"}),
            "/if/expr",
            Some(1),
            None,
        ),
        (
            "/if",
            json!({"expr": "true &&\n  lenght(event.kind) > 1"}),
            "/if/expr",
            Some(2),
            None,
        ),
        (
            "/steps/0/with/text",
            json!("a\n{{ evnt.data }}"),
            "/steps/0/with/text",
            Some(2),
            Some("`event`"),
        ),
        (
            "/steps/0/with/text",
            json!("{{ open"),
            "/steps/0/with/text",
            Some(1),
            None,
        ),
        (
            "/steps/0/with/count",
            json!("{{ 1 + }}"),
            "/steps/0/with/count",
            Some(1),
            None,
        ),
        (
            "/steps/4/with/source",
            json!("let a = 1;\nlet b = ;"),
            "/steps/4/with/source",
            Some(2),
            None,
        ),
        (
            "/steps/1/else/0/stop/reason",
            json!("{{ ( }}"),
            "/steps/1/else/0/stop/reason",
            Some(1),
            None,
        ),
        ("/mode/key", json!("{{ ) }}"), "/mode/key", Some(1), None),
        (
            "/steps/5/set",
            json!({"x": {"y": ["{{ ] }}"]}}),
            "/steps/5/set/x/y/0",
            Some(1),
            None,
        ),
        (
            "/if/all/2/of",
            json!({"queue": "{{ + }}"}),
            "/if/all/2/of/queue",
            Some(1),
            None,
        ),
        (
            "/steps/0/with/text",
            json!("x\n  {{ slg(event.kind) }}"),
            "/steps/0/with/text",
            Some(2),
            Some("`slug`"),
        ),
    ]
}

#[test]
fn scripts_are_told_with_their_own_line_and_column() {
    for (change, value, pointer, line, suggestion) in wrong_scripts() {
        let told = errors(&with(change, value.clone()));
        assert_eq!(told.len(), 1, "{value}: {told:#?}");
        assert_eq!(
            (told[0].pointer.as_str(), told[0].line),
            (pointer, line),
            "{value}: {told:#?}"
        );
        assert!(told[0].column.is_some(), "{value}: {told:#?}");
        if suggestion.is_some() {
            assert_eq!(
                told[0].suggestion.as_deref(),
                suggestion,
                "{value}: {told:#?}"
            );
        }
    }
}

#[test]
fn doubtful_documents_are_accepted_with_a_warning() {
    for (change, value, pointer, part) in [
        (
            "/if",
            json!({"expr": "event.data.titel == \"x\""}),
            "/if/expr",
            "titel",
        ),
        (
            "/if",
            json!({"field": "event.data.author.nam", "op": "exists"}),
            "/if/field",
            "`event.data.author` has no `nam`",
        ),
        (
            "/if",
            json!({"field": "vars.x", "op": "exists"}),
            "/if/field",
            "no step has run",
        ),
        (
            "/mode/key",
            json!("same"),
            "/mode/key",
            "same for every event",
        ),
        ("/steps/1/then", json!([]), "/steps/1", ""),
    ] {
        let mut rule = with(change, value.clone());
        if change == "/steps/1/then" {
            rule["steps"][1]["else"] = json!([]);
        }
        let told = warnings(&rule);
        assert_eq!(told.len(), 1, "{value}: {told:#?}");
        assert_eq!(told[0].pointer, pointer, "{told:#?}");
        assert!(told[0].reason.contains(part), "{told:#?}");
    }
}

#[test]
fn open_data_and_open_samples_claim_nothing() {
    let mut hook = with(
        "/triggers/0",
        json!({"id": "t", "kind": "webhook.received"}),
    );
    hook["if"] = json!({"all": [{"expr": "event.data.what.ever == 1"}, {"field": "event.data.any.thing", "op": "exists"}]});
    assert!(warnings(&hook).is_empty());
    assert!(
        warnings(&with(
            "/if",
            json!({"field": "event.data.extra.deep", "op": "exists"})
        ))
        .is_empty()
    );
    let mut two = good();
    two["triggers"] = json!([{"id": "a", "kind": "feed.item", "with": {"feed": "f"}}, {"id": "b", "kind": "webhook.received"}]);
    two["if"] = json!({"field": "event.data.unheard", "op": "exists"});
    assert!(warnings(&two).is_empty());
}

#[test]
fn a_rule_that_starts_itself_without_a_condition_is_warned_of() {
    let mut rule = with("/triggers/0", json!({"id": "t", "kind": "post.created"}));
    for guard in ["if", "mode", "throttle", "debounce", "dedupe", "limits"] {
        rule.as_object_mut().unwrap().remove(guard);
    }
    rule["steps"] = json!([{"id": "make", "action": "post.create", "with": {"text": "x"}}]);
    let told = warnings(&rule);
    assert!(
        told.iter()
            .any(|w| w.pointer == "/steps/0" && w.reason.contains("post.created")),
        "{told:#?}"
    );
    rule["if"] = json!({"field": "event.subject", "op": "exists"});
    assert!(!warnings(&rule).iter().any(|w| w.pointer == "/steps/0"));
    rule.as_object_mut().unwrap().remove("if");
    let inner = rule["steps"][0].take();
    rule["steps"] =
        json!([{"id": "i", "if": {"field": "event.subject", "op": "exists"}, "then": [inner]}]);
    assert!(
        !warnings(&rule)
            .iter()
            .any(|w| w.reason.contains("post.created"))
    );
}

#[test]
fn all_mistakes_are_told_at_once_and_no_more_than_fifty() {
    let mut rule = good();
    rule["nmae"] = json!(1);
    rule["if"]["all"][0]["op"] = json!("mor");
    rule["if"]["all"][1]["any"][0]["not"]["expr"] = json!("1 +");
    rule["steps"][0]["with"]["count"] = json!(99);
    rule["steps"][3]["delay"]["for"] = json!("soon");
    rule["steps"][1]["then"][0]["action"] = json!("notfy");
    let places: Vec<String> = errors(&rule)
        .into_iter()
        .map(|error| error.pointer)
        .collect();
    for pointer in [
        "/nmae",
        "/if/all/0/op",
        "/if/all/1/any/0/not/expr",
        "/steps/0/with/count",
        "/steps/3/delay/for",
        "/steps/1/then/0/action",
    ] {
        assert!(
            places.iter().any(|place| place == pointer),
            "{pointer} in {places:?}"
        );
    }
    let many: Vec<Value> = (0..200)
        .map(|n| json!({"id": format!("s{n}"), "action": "nothing"}))
        .collect();
    rule["steps"] = json!(many);
    assert_eq!(errors(&rule).len(), 50);
}

#[test]
fn a_rule_has_bounds_of_depth_and_number() {
    let nest = |levels: usize| {
        (0..levels).fold(json!([]), |inner, level| {
            json!([{"id": format!("s{level}"), "if": {"expr": "true"}, "then": inner, "else": [{"id": format!("e{level}"), "stop": {}}]}])
        })
    };
    assert!(validate(&with("/steps", nest(7)), &catalogue(), &scripts()).is_ok());
    assert!(
        errors(&with("/steps", nest(8)))
            .iter()
            .any(|e| e.reason.contains("nested too deeply"))
    );
    assert!(!errors(&with("/steps", nest(30))).is_empty());
    let many = |count: usize| -> Value {
        (0..count)
            .map(|n| json!({"id": format!("s{n}"), "stop": {}}))
            .collect()
    };
    assert!(validate(&with("/steps", many(100)), &catalogue(), &scripts()).is_ok());
    let split = json!([
        {"id": "i", "if": {"expr": "true"}, "then": many(60),
         "else": (0..60).map(|n| json!({"id": format!("t{n}"), "stop": {}})).collect::<Vec<_>>()}]);
    assert!(
        errors(&with("/steps", split))
            .iter()
            .any(|e| e.reason.contains("too many steps"))
    );
    let deep = (0..60).fold(json!({"expr": "true"}), |inner, _| json!({"not": inner}));
    assert!(
        errors(&with("/if", deep))
            .iter()
            .any(|e| e.reason.contains("nested too deeply"))
    );
    let wide: Vec<Value> = (0..600).map(|_| json!({"expr": "true"})).collect();
    assert!(
        errors(&with("/if", json!({"all": wide})))
            .iter()
            .any(|e| e.reason.contains("too many conditions"))
    );
}

#[test]
fn what_is_no_rule_at_all_is_refused_without_a_panic() {
    for value in [
        json!(null),
        json!([]),
        json!("rule"),
        json!({}),
        json!({"steps": {}, "triggers": 3, "if": 7}),
        json!({"steps": [null, [], {"if": null, "then": 4}, {"choose": [1, {"if": 1}]}], "triggers": [null, {"kind": []}]}),
        json!({"version": 1, "name": "x", "triggers": [{"id": "t", "kind": "manual", "with": 3}], "steps": [{"id": "a", "set": 3}]}),
    ] {
        assert!(!errors(&value).is_empty(), "{value}");
    }
}

#[test]
fn a_mistake_in_yaml_is_marked_at_its_line() {
    let text = "version: 1\nname: x\ntriggers:\n  - {id: t, kind: manual}\nsteps:\n  - id: a\n    action: notfy\n";
    let (value, positions) = parse(text, Format::Yaml).unwrap();
    let mut told = errors(&value);
    positions.annotate(&mut told);
    assert_eq!(
        (told[0].line, told[0].column),
        (Some(7), Some(5)),
        "{told:#?}"
    );
}
