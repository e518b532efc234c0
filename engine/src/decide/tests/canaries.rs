//! Canaries: one version of a rule decides an event, by the accounts that it is about.

use std::sync::Arc;

use serde_json::{Value, json};
use so_model::{
    event::Event,
    id::{AccountId, RuleId, WorkspaceId},
};

use crate::decide::{Canary, CompiledRule, RuleIndex, accounts_of};

use super::{compile_as, document, event};

fn account(name: &str) -> AccountId {
    AccountId::derived(&[name])
}

fn version(name: &str, version: i64, kind: &str) -> Arc<CompiledRule> {
    let mut rule = compile_as(
        RuleId::derived(&[name]),
        &document(json!({"triggers": [{"id": "t", "kind": kind}]})),
    );
    Arc::make_mut(&mut rule).version = version;
    rule
}

fn about(accounts: &[&str]) -> Event {
    let variants: Vec<Value> = accounts
        .iter()
        .map(|name| json!({"account": account(name)}))
        .collect();
    event("webhook.received", json!({"post": {"variants": variants}}))
}

fn deciding(index: &RuleIndex, event: &Event) -> Vec<(RuleId, i64)> {
    index
        .candidates(event)
        .into_iter()
        .map(|(rule, _)| (rule.id, rule.version))
        .collect()
}

#[test]
fn a_canary_decides_events_of_which_it_has_every_account() {
    let (live, other) = (
        version("one", 1, "webhook.received"),
        version("two", 1, "webhook.received"),
    );
    let (one, two) = (live.id, other.id);
    let index = RuleIndex::build(vec![live, other]).with_canaries(vec![Canary {
        rule: version("one", 2, "webhook.received"),
        accounts: [account("a"), account("b")].into(),
    }]);
    for (accounts, wanted) in [
        (&["a"][..], 2),
        (&["a", "b"], 2),
        (&["a", "c"], 1),
        (&["c"], 1),
        (&[], 1),
    ] {
        let event = about(accounts);
        let mut found = deciding(&index, &event);
        found.sort_unstable();
        let mut expected = vec![(one, wanted), (two, 1)];
        expected.sort_unstable();
        assert_eq!(found, expected, "{accounts:?}");
    }
    let versions: Vec<i64> = index.starting(one).map(|rule| rule.version).collect();
    assert_eq!(versions, [1, 2]);
    assert_eq!(index.get(one).unwrap().version, 1);
}

#[test]
fn what_only_the_canary_listens_to_starts_it_and_what_only_the_live_one_does_starts_nothing_there()
{
    let live = version("one", 1, "webhook.received");
    let id = live.id;
    let index = RuleIndex::build(vec![live]).with_canaries(vec![Canary {
        rule: version("one", 2, "post.created"),
        accounts: [account("a")].into(),
    }]);
    let told = |kind: &str, name: &str| event(kind, json!({"account": account(name)}));
    assert_eq!(deciding(&index, &told("post.created", "a")), [(id, 2)]);
    assert_eq!(deciding(&index, &told("post.created", "b")), []);
    assert_eq!(deciding(&index, &told("webhook.received", "a")), []);
    assert_eq!(deciding(&index, &told("webhook.received", "b")), [(id, 1)]);
    let mut foreign = told("post.created", "a");
    foreign.workspace = WorkspaceId::derived(&["another"]);
    assert_eq!(deciding(&index, &foreign), []);
}

#[test]
fn an_event_is_about_the_account_that_it_tells_of_before_those_of_its_post() {
    let post = json!({"variants": [{"account": account("a")}, {"account": account("b")}]});
    let of = |data: Value| accounts_of(&data);
    assert_eq!(of(json!({"post": post})), [account("a"), account("b")]);
    assert_eq!(
        of(json!({"post": post, "account": account("b")})),
        [account("b")]
    );
    assert_eq!(of(json!({"account": {"id": account("c")}})), [account("c")]);
    // What cannot be read is nobody's.
    assert_eq!(of(json!({"account": "Ann", "post": post})), []);
    assert_eq!(
        of(json!({"post": {"variants": [{"account": account("a")}, {}]}})),
        []
    );
    assert_eq!(of(json!({})), []);
}
