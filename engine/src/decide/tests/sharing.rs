//! Rules that do the same are compiled to one plan; what differs never is.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::id::{RuleId, WorkspaceId};

use crate::{
    decide::{CompiledRule, Plans, RuleIndex},
    script::{Library, ScriptEngine, ScriptLimits},
};

use super::{compile, compile_as, document, event};

fn shared(plans: &Plans, name: &str, changes: Value) -> CompiledRule {
    let rule = compile_as(RuleId::derived(&[name]), &document(changes));
    CompiledRule::clone(&rule).sharing(plans)
}

/// Where its steps stand in memory.
fn place(rule: &CompiledRule) -> *const so_model::rule::Step {
    rule.steps().as_ptr()
}

fn feed(feed: &str) -> Value {
    json!([{"id": "t", "kind": "feed.item", "with": {"feed": feed}}])
}

#[test]
fn rules_that_differ_in_name_and_triggers_only_share_a_plan() {
    let plans = Plans::default();
    let one = shared(
        &plans,
        "one",
        json!({"name": "One", "triggers": feed("f1"), "if": {"field": "event.data.n", "op": "gt", "value": 1}}),
    );
    let other = shared(
        &plans,
        "other",
        json!({"name": "Other", "triggers": feed("f2"), "if": {"field": "event.data.n", "op": "gt", "value": 1}}),
    );
    assert_eq!(place(&one), place(&other));
    assert_eq!(
        (one.document.name.as_str(), other.document.name.as_str()),
        ("One", "Other")
    );
    let asks = |rule: &CompiledRule, feed: &str| {
        rule.triggers[0]
            .matches(&event("feed.item", json!({"feed": feed})))
            .is_ok()
    };
    assert!(asks(&one, "f1") && !asks(&one, "f2") && asks(&other, "f2") && !asks(&other, "f1"));
}

#[test]
fn whatever_is_compiled_tells_plans_apart() {
    let plans = Plans::default();
    let first = shared(&plans, "first", json!({}));
    for (n, changes) in [
        json!({"if": {"field": "event.data.n", "op": "gt", "value": 1}}),
        json!({"steps": [{"id": "b", "stop": {}}]}),
        json!({"steps": [{"id": "a", "stop": {}}, {"id": "b", "stop": {}}]}),
        json!({"mode": {"kind": "single", "key": "{{ event.data.n }}"}}),
        json!({"throttle": {"max": 1, "per": "1h", "key": "{{ event.data.n }}"}}),
        json!({"debounce": {"for": "1m", "key": "{{ event.data.n }}"}}),
        json!({"dedupe": {"key": "{{ event.data.n }}", "within": "1h"}}),
    ]
    .into_iter()
    .enumerate()
    {
        let other = shared(&plans, &n.to_string(), changes.clone());
        assert_ne!(place(&first), place(&other), "{changes}");
    }
}

#[test]
fn what_no_rule_uses_any_longer_is_not_kept() {
    let plans = Plans::default();
    for n in 0..1_000 {
        shared(
            &plans,
            "gone",
            json!({"steps": [{"id": format!("s{n}"), "stop": {}}]}),
        );
    }
    assert!(plans.len() < 200, "{} are kept", plans.len());
    let kept = shared(&plans, "kept", json!({}));
    let again = shared(&plans, "again", json!({}));
    assert_eq!(place(&kept), place(&again));
}

#[test]
fn a_rule_that_may_call_a_library_keeps_a_plan_of_its_own() {
    let plans = Plans::default();
    let scripts = ScriptEngine::new(ScriptLimits::default());
    let (library, problems) = Library::build(&scripts, [("words", "fn loud(text) { text }")]);
    assert!(problems.is_empty(), "{problems:?}");
    let scripts = scripts.with_library(Arc::new(library));
    let catalogue = crate::rule::fixture::catalogue();
    let plain = compile(json!({}));
    let calling = |name: &str| {
        let document = Arc::clone(&plain.document);
        let id = RuleId::derived(&[name]);
        let made = CompiledRule::compile(id, plain.workspace, 1, document, &catalogue, &scripts);
        made.unwrap().sharing(&plans)
    };
    // The same words, but another version of the library may stand behind them.
    let (one, other) = (calling("one"), calling("other"));
    assert_ne!(Arc::as_ptr(&one.plan), Arc::as_ptr(&other.plan));
}

#[test]
fn rules_that_share_a_plan_are_candidates_in_their_own_workspace_only() {
    let plans = Plans::default();
    let mut rules = Vec::new();
    for name in ["one", "other"] {
        let mut rule = shared(&plans, name, json!({}));
        rule.workspace = WorkspaceId::derived(&[name]);
        rules.push(Arc::new(rule));
    }
    assert_eq!(place(&rules[0]), place(&rules[1]));
    let index = RuleIndex::build(rules);
    for name in ["one", "other"] {
        let mut event = event("feed.item", json!({"feed": "feed_1"}));
        event.workspace = WorkspaceId::derived(&[name]);
        let found = index.candidates(&event);
        assert_eq!(found.len(), 1, "{name}");
        assert_eq!(found[0].0.id, RuleId::derived(&[name]));
    }
}

#[test]
fn a_rule_of_another_workspace_is_no_candidate_whatever_its_hash() {
    let plans = Plans::default();
    let own = Arc::new(shared(&plans, "own", json!({})));
    let mut foreign = shared(&plans, "foreign", json!({}));
    foreign.workspace = WorkspaceId::derived(&["another"]);
    let mut index = RuleIndex::build(vec![own.clone()]);
    let event = event("feed.item", json!({"feed": "feed_1"}));
    let before = index.candidates(&event).len();
    index.collide(own, &event, "feed.item");
    index.collide(Arc::new(foreign), &event, "feed.item");
    let found = index.candidates(&event);
    assert_eq!(found.len(), before, "the own one is told once");
    assert!(
        found
            .iter()
            .all(|(rule, _)| rule.workspace == event.workspace)
    );
}
