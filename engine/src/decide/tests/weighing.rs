//! Clauses weighed: distances, what is kept of a refusal, and that it can be weighed again.

use serde_json::{Value, json};
use so_model::{run::Verdict, why::Clause};

use crate::decide::{DecisionInput, FactValues, decide, facts_needed, settle};

use super::{compile, event, now, workspace};

fn weigh(condition: Value, data: Value) -> Clause {
    let rule = compile(json!({"if": condition}));
    let mut data = data;
    data["feed"] = json!("feed_1");
    let (event, workspace, values) = (event("feed.item", data), workspace(), FactValues::new());
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    rule.condition().unwrap().weigh(&input.facts_for(&rule, 0))
}

fn told(condition: Value, data: Value) -> String {
    weigh(condition, data).first().unwrap().text.clone()
}

#[test]
fn a_clause_that_fails_says_how_far_it_was() {
    let likes =
        |op: &str, value: i64| json!({"field": "event.data.likes", "op": op, "value": value});
    assert_eq!(
        told(likes("ge", 100), json!({"likes": 87})),
        "likes is 87, wanted at least 100: 13 short"
    );
    assert_eq!(
        told(likes("lt", 5), json!({"likes": 9.5})),
        "likes is 9.5, wanted less than 5: 4.5 over"
    );
    assert!(
        told(likes("gt", 100), json!({"likes": 100}))
            .ends_with("exactly the bound, which is not enough")
    );
    assert!(told(likes("gt", 100), json!({})).ends_with("it is absent"));
    let text = json!({"field": "event.data.title", "op": "contains", "value": "launch"});
    assert!(told(text, json!({"title": "Notes"})).ends_with("\"launch\" is not in it"));
    let tag = json!({"field": "event.data.labels", "op": "contains", "value": "news"});
    assert!(told(tag, json!({"labels": ["old"]})).ends_with("\"news\" is not in it"));
}

#[test]
fn a_window_says_how_many_minutes_it_is_away() {
    // It is Wednesday 17:05 in Berlin.
    let window = |from: &str, to: &str| json!({"time": {"from": from, "to": to}});
    assert!(told(window("09:00", "17:00"), json!({})).ends_with("5 minutes after it closed"));
    assert!(
        told(window("17:17", "18:00"), json!({})).ends_with("12 minutes before the window opens")
    );
    let days = json!({"time": {"weekdays": ["sat"]}});
    assert!(told(days, json!({})).ends_with("before the window opens"));
    let held = weigh(window("09:00", "17:06"), json!({}));
    assert_eq!((held.held, held.first()), (Some(true), None));
}

#[test]
fn every_clause_is_looked_at_and_the_first_that_failed_is_marked() {
    let clause = weigh(
        json!({"all": [
            {"field": "event.data.a", "op": "exists"},
            {"field": "event.data.likes", "op": "gt", "value": 100},
            {"any": [{"field": "event.data.b", "op": "eq", "value": 1},
                     {"field": "event.data.likes", "op": "lt", "value": 80}]}]}),
        json!({"a": 1, "likes": 87}),
    );
    assert_eq!(clause.first().unwrap().path, "/if/all/1");
    assert_eq!(
        clause.parts[2].held,
        Some(false),
        "looked at although it no longer mattered"
    );
    assert!(
        clause.parts[2]
            .text
            .contains("0 of 2 parts hold, one must; nearest: "),
        "{clause:#?}"
    );
    let any = weigh(
        json!({"any": [{"field": "event.data.b", "op": "eq", "value": 1},
                       {"field": "event.data.likes", "op": "gt", "value": 80}]}),
        json!({"likes": 3}),
    );
    assert_eq!(any.first().unwrap().path, "/if");
}

#[test]
fn a_decision_can_be_taken_again_from_what_is_kept() {
    let rule = compile(json!({"if": {"all": [
        {"fact": "queue_length", "of": {"queue": "queue_1"}, "op": "lt", "value": 5},
        {"fact": "queue_length", "of": {"queue": "queue_2"}, "op": "lt", "value": 2}]}}));
    let (event, workspace) = (event("feed.item", json!({"feed": "feed_1"})), workspace());
    let none = FactValues::new();
    let asked = facts_needed(
        &rule,
        0,
        &DecisionInput::new(&event, &workspace, now(), &none),
    );
    let values: FactValues = asked
        .into_iter()
        .zip([3, 7])
        .map(|(request, value)| (request.key, json!(value)))
        .collect();
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    let (whole, kept) = (decide(&rule, 0, &input), settle(&rule, 0, &input));
    assert_eq!(kept.verdict, Verdict::ConditionFailed);
    let kept = kept.trace.unwrap();
    assert_eq!(
        (kept.path.as_str(), kept.saw, kept.parts.len()),
        ("/if/all/1", json!(7), 0)
    );
    let condition = rule.condition().unwrap();
    assert!(!condition.is_about_event_only());
    let facts = input.facts_for(&rule, 0);
    let again = condition.facts_of(&whole.trace.unwrap(), &facts);
    assert_eq!(
        again, values,
        "a whole trace holds every fact that was looked at"
    );
}
