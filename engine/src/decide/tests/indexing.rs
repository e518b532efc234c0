//! The index: exactly the rules that may want an event, however many there are.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::{
    event::Event,
    id::{RuleId, WorkspaceId},
};

use crate::decide::{CompiledRule, RuleIndex};

use super::{Dice, compile_as, document, event};

fn rule(name: &str, triggers: Value) -> Arc<CompiledRule> {
    compile_as(
        RuleId::derived(&[name]),
        &document(json!({"triggers": triggers})),
    )
}

fn feed(name: &str, with: Value) -> Arc<CompiledRule> {
    rule(
        name,
        json!([{"id": "t", "kind": "feed.item", "with": with}]),
    )
}

fn found(index: &RuleIndex, event: &Event) -> Vec<(RuleId, usize)> {
    index
        .candidates(event)
        .into_iter()
        .map(|(rule, trigger)| (rule.id, trigger))
        .collect()
}

fn ids(rules: &[&Arc<CompiledRule>]) -> Vec<(RuleId, usize)> {
    let mut ids: Vec<_> = rules.iter().map(|rule| (rule.id, 0)).collect();
    ids.sort();
    ids
}

#[test]
fn literals_lead_to_the_rules_that_name_them() {
    let (one, two) = (
        feed("one", json!({"feed": "f1"})),
        feed("two", json!({"feed": "f2"})),
    );
    let labelled = feed("labelled", json!({"feed": "f1", "labels": ["a", "b"]}));
    let index = RuleIndex::build(vec![one.clone(), two.clone(), labelled.clone()]);
    assert_eq!(
        found(&index, &event("feed.item", json!({"feed": "f1"}))),
        ids(&[&one])
    );
    assert_eq!(
        found(
            &index,
            &event("feed.item", json!({"feed": "f2", "labels": ["a"]}))
        ),
        ids(&[&two])
    );
    assert_eq!(
        found(
            &index,
            &event("feed.item", json!({"feed": "f1", "labels": ["b", "a"]}))
        ),
        ids(&[&one, &labelled])
    );
    assert_eq!(
        found(&index, &event("feed.item", json!({"feed": "f3"}))),
        ids(&[])
    );
    assert_eq!(
        found(&index, &event("post.created", json!({"feed": "f1"}))),
        ids(&[])
    );
    let mut foreign = event("feed.item", json!({"feed": "f1"}));
    foreign.workspace = WorkspaceId::derived(&["another"]);
    assert_eq!(
        found(&index, &foreign),
        ids(&[]),
        "another workspace's event starts nothing here"
    );
}

#[test]
fn a_moment_meant_for_one_rule_finds_that_trigger_only() {
    let timed = |name: &str| {
        rule(
            name,
            json!([
        {"id": "am", "kind": "time.cron", "with": {"expression": "0 9 * * *"}},
        {"id": "pm", "kind": "time.cron", "with": {"expression": "0 18 * * *"}}]),
        )
    };
    let (one, two) = (timed("one"), timed("two"));
    let index = RuleIndex::build(vec![one.clone(), two]);
    let due = event("time.due", json!({"rule": one.id, "trigger": "pm"}));
    assert_eq!(found(&index, &due), vec![(one.id, 1)]);
}

#[test]
fn a_rule_can_be_replaced_switched_off_and_removed() {
    let (old, new) = (
        feed("x", json!({"feed": "f1"})),
        feed("x", json!({"feed": "f2"})),
    );
    let mut index = RuleIndex::build(vec![old.clone()]);
    index.insert(new.clone());
    assert_eq!(
        found(&index, &event("feed.item", json!({"feed": "f1"}))),
        ids(&[])
    );
    assert_eq!(
        found(&index, &event("feed.item", json!({"feed": "f2"}))),
        ids(&[&new])
    );
    assert_eq!(index.len(), 1);
    let off = compile_as(new.id, &document(json!({"enabled": false})));
    index.insert(off);
    assert!(
        index.is_empty()
            && index
                .candidates(&event("feed.item", json!({"feed": "feed_1"})))
                .is_empty()
    );
    index.remove(new.id);
    assert!(index.holds_nothing(), "nothing is left behind");
}

#[test]
fn the_index_finds_every_trigger_that_would_match_and_removal_leaves_no_trace() {
    let mut dice = Dice(11);
    let feeds = ["f1", "f2", "f3"];
    let labels = ["a", "b", "c"];
    let mut rules: Vec<Arc<CompiledRule>> = Vec::new();
    for number in 0..120 {
        let mut with = json!({"feed": dice.pick(&feeds)});
        if dice.roll(2) == 0 {
            let count = 1 + dice.roll(3);
            with["labels"] = (0..count).map(|_| json!(dice.pick(&labels))).collect();
        }
        if dice.roll(4) == 0 {
            with["language"] = json!("de");
        }
        let triggers = match dice.roll(4) {
            0 => {
                json!([{"id": "t", "kind": "webhook.received"}, {"id": "u", "kind": "feed.item", "with": with}])
            }
            1 => json!([{"id": "t", "kind": "manual"}]),
            _ => json!([{"id": "t", "kind": "feed.item", "with": with}]),
        };
        rules.push(rule(&number.to_string(), triggers));
    }
    let mut index = RuleIndex::build(rules.clone());
    for round in 0..300 {
        if round % 3 == 0 && !rules.is_empty() {
            index.remove(rules.swap_remove(dice.roll(rules.len())).id);
        }
        let count = dice.roll(3);
        let labels: Vec<&str> = (0..count).map(|_| *dice.pick(&labels)).collect();
        let kind = dice.pick(&["feed.item", "webhook.received", "manual.pressed"]);
        let event = event(
            kind,
            json!({"feed": dice.pick(&feeds), "labels": labels, "language": dice.pick(&["de", "en"])}),
        );
        let candidates = found(&index, &event);
        let mut matching = Vec::new();
        for rule in &rules {
            for (number, trigger) in rule.triggers.iter().enumerate() {
                if trigger.matches(&event).is_ok() {
                    matching.push((rule.id, number));
                }
            }
        }
        assert!(
            matching.iter().all(|wanted| candidates.contains(wanted)),
            "{event:?}"
        );
        let language = |(id, number): &(RuleId, usize)| {
            let rule = index.get(*id).unwrap();
            rule.triggers[*number].matches(&event).is_ok()
                || rule.document.triggers[*number]
                    .with
                    .contains_key("language")
        };
        assert!(
            candidates.iter().all(language),
            "only the third literal is left to the decision"
        );
    }
    for rule in rules {
        index.remove(rule.id);
    }
    assert!(index.holds_nothing());
}

#[test]
fn long_lists_of_literals_stay_bounded() {
    let many: Vec<String> = (0..60).map(|n| format!("l{n}")).collect();
    let rule = rule(
        "x",
        json!([{"id": "t", "kind": "feed.item", "with": {"feed": "f", "labels": many}}]),
    );
    let mut index = RuleIndex::build(vec![rule.clone()]);
    assert_eq!(
        found(
            &index,
            &event("feed.item", json!({"feed": "f", "labels": ["l59"]}))
        ),
        ids(&[&rule])
    );
    index.remove(rule.id);
    assert!(index.holds_nothing());
}
