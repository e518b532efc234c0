//! Decisions: triggers, the loop guard, reasons and keys.

use serde_json::{Value, json};
use so_model::{event::Event, id::RuleId, run::Verdict};

use crate::decide::{CompiledRule, DecisionInput, FactValues, decide, settle, verdict};

use super::{compile, event, now, workspace};

fn check(rule: &CompiledRule, event: &Event, wanted: Verdict, reason: &str) {
    let (workspace, values) = (workspace(), FactValues::new());
    let input = DecisionInput::new(event, &workspace, now(), &values);
    let decision = decide(rule, 0, &input);
    assert_eq!(decision.verdict, wanted, "{decision:#?}");
    assert!(decision.reason.contains(reason), "{decision:#?}");
    assert_eq!(verdict(rule, 0, &input), wanted, "the short form agrees");
    assert_eq!((decision.version, decision.trigger.as_str()), (3, "t"));
    assert_eq!(
        decision.trace.is_some(),
        matches!(wanted, Verdict::Started | Verdict::ConditionFailed)
    );
    let kept = settle(rule, 0, &input);
    assert_eq!(
        (kept.verdict, &kept.reason),
        (decision.verdict, &decision.reason),
        "what is kept agrees with what is told"
    );
    if wanted == Verdict::ConditionFailed {
        let clause = rule.condition().unwrap();
        let clause = clause.weigh(&input.facts_for(rule, 0));
        let first = clause.first().map(|first| first.path.as_str());
        let kept = kept.trace.as_ref().map(|trace| trace.path.as_str());
        assert_eq!(
            first, kept,
            "the clause marked later is the one that refused"
        );
    }
}

fn item(data: Value) -> Event {
    event("feed.item", data)
}

#[test]
fn a_rule_starts_or_says_in_one_sentence_why_not() {
    let rule = compile(json!({"if": {"all": [
        {"field": "event.data.title", "op": "exists"},
        {"any": [{"field": "event.data.likes", "op": "gt", "value": 100}, {"expr": "event.data.pinned"}]},
        {"not": {"field": "event.data.muted", "op": "eq", "value": true}}]}}));
    check(
        &rule,
        &item(json!({"feed": "feed_1", "title": "x", "likes": 120})),
        Verdict::Started,
        "all 3 parts hold",
    );
    check(
        &rule,
        &item(json!({"feed": "feed_1"})),
        Verdict::ConditionFailed,
        "title is absent, wanted anything",
    );
    check(
        &rule,
        &item(json!({"feed": "feed_1", "title": "x", "likes": 87, "pinned": false})),
        Verdict::ConditionFailed,
        "none of 2 parts holds",
    );
    check(
        &rule,
        &item(json!({"feed": "feed_1", "title": "x", "likes": 101, "muted": true})),
        Verdict::ConditionFailed,
        "the part holds, wanted it not to",
    );
    check(
        &rule,
        &item(json!({"feed": "feed_1", "title": "x", "likes": 1})),
        Verdict::ConditionFailed,
        "pinned",
    );
    let single = compile(json!({"if": {"field": "event.data.likes", "op": "gt", "value": 100}}));
    check(
        &single,
        &item(json!({"feed": "feed_1", "likes": 87})),
        Verdict::ConditionFailed,
        "likes is 87, wanted more than 100",
    );
    let always = compile(json!({}));
    check(
        &always,
        &item(json!({"feed": "feed_1"})),
        Verdict::Started,
        "no condition",
    );
}

#[test]
fn an_event_that_the_trigger_does_not_mean_is_a_mismatch() {
    let rule = compile(json!({"triggers": [
        {"id": "t", "kind": "feed.item", "with": {"feed": "feed_1", "labels": ["x", "y"], "language": "de"}}]}));
    let matching = json!({"feed": "feed_1", "labels": ["z", "y"], "language": "de"});
    check(&rule, &item(matching.clone()), Verdict::Started, "");
    for (key, value, reason) in [
        (
            "feed",
            json!("feed_2"),
            "feed is \"feed_2\", this trigger wants feed_1",
        ),
        ("labels", json!(["z"]), "this trigger wants x or y"),
        ("labels", json!([]), "labels is []"),
        ("language", json!(null), "language is absent"),
    ] {
        let mut data = matching.clone();
        data[key] = value;
        check(&rule, &item(data), Verdict::TriggerMismatch, reason);
    }
    check(
        &rule,
        &event("post.created", matching),
        Verdict::TriggerMismatch,
        "listens to feed.item",
    );
    let (event, workspace, values) = (item(json!({})), workspace(), FactValues::new());
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    assert_eq!(decide(&rule, 9, &input).verdict, Verdict::TriggerMismatch);
}

#[test]
fn chains_that_are_long_or_go_in_a_circle_are_cut() {
    let other = RuleId::derived(&["other"]);
    let at = |depth: u32, rules: Vec<RuleId>| {
        let mut event = item(json!({"feed": "feed_1"}));
        event.cause.depth = depth;
        event.cause.rules = rules;
        event
    };
    let rule = compile(json!({}));
    check(&rule, &at(16, vec![other; 16]), Verdict::Started, "");
    check(
        &rule,
        &at(17, vec![other; 17]),
        Verdict::LoopGuard,
        "17 long, at most 16: … → rule_",
    );
    check(
        &rule,
        &at(2, vec![rule.id, other, rule.id]),
        Verdict::Started,
        "",
    );
    check(
        &rule,
        &at(3, vec![rule.id, other, rule.id, rule.id]),
        Verdict::LoopGuard,
        "3 times",
    );
    let tight = compile(json!({"limits": {"max_depth": 2}}));
    check(&tight, &at(2, vec![]), Verdict::Started, "");
    check(&tight, &at(3, vec![]), Verdict::LoopGuard, "at most 2");
    let loose = compile(json!({"limits": {"max_depth": 99}}));
    check(&loose, &at(17, vec![]), Verdict::LoopGuard, "at most 16");
}

#[test]
fn keys_are_rendered_from_the_event() {
    let rule = compile(json!({
        "mode": {"key": "{{ event.subject }}"}, "throttle": {"max": 1, "per": "1h", "key": "{{ event.data.n }}"},
        "debounce": {"for": "1m", "key": "{{ trigger.id }}-{{ event.data.gone }}"},
        "dedupe": {"key": "{{ event.data.long }}"}}));
    let (event, workspace, values) = (
        item(json!({"feed": "feed_1", "n": 5, "gone": null, "long": "ü".repeat(500)})),
        workspace(),
        FactValues::new(),
    );
    let input = DecisionInput::new(&event, &workspace, now(), &values);
    let facts = input.facts_for(&rule, 0);
    assert_eq!(rule.mode_key(&facts).unwrap(), "post_1");
    assert_eq!(rule.throttle_key(&facts).unwrap(), "5");
    assert_eq!(rule.debounce_key(&facts).unwrap(), "t-");
    let key = rule.dedupe_key(&facts).unwrap().unwrap();
    assert!(key.starts_with("üüü") && key.len() < 200, "{key}");
    let plain = compile(json!({}));
    assert_eq!(
        (
            plain.mode_key(&facts).unwrap(),
            plain.dedupe_key(&facts).unwrap()
        ),
        (String::new(), None)
    );
    let failing = compile(json!({"mode": {"key": "{{ event.data.absent.deep }}"}}));
    assert!(failing.mode_key(&facts).is_err());
}

#[test]
fn a_rule_whose_kinds_are_gone_does_not_compile() {
    use crate::{
        rule::Catalogue,
        script::{ScriptEngine, ScriptLimits},
    };
    let rule = compile(json!({"steps": [{"id": "a", "action": "notify"}]}));
    let scripts = ScriptEngine::new(ScriptLimits::default());
    let errors = CompiledRule::compile(
        rule.id,
        rule.workspace,
        3,
        rule.document.clone(),
        &Catalogue::default(),
        &scripts,
    )
    .unwrap_err();
    let places: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
    assert_eq!(places, ["/triggers/0/kind", "/steps/0/action"]);
}

#[test]
fn whatever_is_accepted_compiles() {
    use crate::{
        rule::{fixture::catalogue, validate},
        script::{ScriptEngine, ScriptLimits},
    };
    let (scripts, catalogue) = (ScriptEngine::new(ScriptLimits::default()), catalogue());
    let deep = (0..40).fold(json!("x"), |inner, _| json!([inner]));
    let wide: Value = (0..6_000).map(|n| json!(n)).collect();
    let condition = |node: Value| json!({"if": node});
    let mut changes = vec![
        json!({"steps": [{"id": "a", "set": {"x": deep}}]}),
        json!({"steps": [{"id": "a", "set": {"x": wide}}]}),
        json!({"steps": [{"id": "a", "action": "notify", "with": {"x": deep}}]}),
        json!({"steps": [{"id": "a", "delay": {"until": "{{ event.time }}"}}]}),
    ];
    for field in [
        "event",
        "event.data",
        "event.data.",
        "event.kind",
        "event.kind.x",
        "event.time.x",
        "vars",
        "vars.x",
        "steps.a",
        "run",
        "run.id",
        "trigger",
        "trigger.id",
        "trigger.id.x",
        "workspace.name",
        "workspace.name.x",
        "workspace",
        "x",
        "",
    ] {
        changes.push(condition(json!({"field": field, "op": "exists"})));
        changes.push(
            json!({"steps": [{"id": "a", "if": {"field": field, "op": "exists"}, "then": []}]}),
        );
    }
    let values = [
        json!(1),
        json!("x"),
        json!(""),
        json!(true),
        json!([1]),
        json!([]),
        json!({}),
        json!("2026-01-01T00:00:00Z"),
        json!("("),
        json!(null),
    ];
    for op in [
        "eq",
        "ne",
        "gt",
        "ge",
        "lt",
        "le",
        "contains",
        "not_contains",
        "starts_with",
        "ends_with",
        "matches",
        "in",
        "not_in",
        "exists",
        "is_empty",
    ] {
        for value in &values {
            changes.push(condition(
                json!({"field": "event.kind", "op": op, "value": value}),
            ));
        }
    }
    let mut accepted = 0;
    for change in changes {
        if let Ok(checked) = validate(&super::document(change.clone()), &catalogue, &scripts) {
            accepted += 1;
            let document = std::sync::Arc::new(checked.document);
            let id = RuleId::derived(&["x"]);
            let compiled =
                CompiledRule::compile(id, workspace().id, 1, document, &catalogue, &scripts);
            assert!(compiled.is_ok(), "{change}: {:#?}", compiled.err());
        }
    }
    assert!(accepted > 50, "{accepted}");
}
