//! Canaries as the engine runs them: stored, decided, queued, debounced, ended.

use serde_json::json;
use so_model::{
    id::{AccountId, RuleId, UserId},
    rule::RuleDocument,
    run::RunState,
    time::MINUTE,
    why::WhyOutcome,
};
use so_store::{rule_canaries, rule_canaries::RuleCanary, rules};

use crate::testing::World;

const RULE: &str = "
version: 1
name: Speaks
triggers: [{id: t, kind: test.happened}]
steps: [{id: say, action: test.echo, with: {text: live}}]
";

fn chosen() -> AccountId {
    AccountId::derived(&["chosen"])
}

/// Stores a version beside the live one that decides events about one account.
async fn canary(world: &World, rule: RuleId, yaml: &str) -> i64 {
    let document: RuleDocument = serde_yaml_ng::from_str(yaml).unwrap();
    let now = world.engine.now();
    let mut tx = world.engine.store.begin().await.unwrap();
    rules::lock(&mut tx, rule).await.unwrap();
    let row = rules::find(&mut tx, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    let version = rules::next_version(&mut tx, world.workspace, rule)
        .await
        .unwrap();
    let stored = rules::RuleVersion {
        rule,
        version,
        document,
        source: yaml.into(),
        author: None,
        reason: String::new(),
        created_at: now,
        is_trial: true,
    };
    rules::insert_version(&mut tx, world.workspace, &stored)
        .await
        .unwrap();
    let tried = RuleCanary {
        rule,
        workspace: world.workspace,
        version,
        base_version: row.version,
        accounts: vec![chosen()],
        library_revision: 0,
        failures_max: None,
        author: UserId::derived(&["ann"]),
        reason: "try".into(),
        problem: None,
        started_at: now,
    };
    rule_canaries::insert(&mut tx, &tried).await.unwrap();
    touch(world, tx, rule).await;
    version
}

/// The rules are read anew.
async fn touch(world: &World, mut tx: so_store::Tx, rule: RuleId) {
    rules::touch(&mut tx, world.workspace, rule, world.engine.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_rules().await.unwrap();
}

/// Makes another version the live one; no process has read it yet.
async fn another(world: &World, rule: RuleId) -> i64 {
    let mut tx = world.engine.store.begin().await.unwrap();
    let found = rules::find(&mut tx, world.workspace, rule).await;
    let mut row = found.unwrap().unwrap();
    let old = rules::find_version(&mut tx, world.workspace, rule, 1).await;
    let number = rules::next_version(&mut tx, world.workspace, rule).await;
    row.version = number.unwrap();
    row.generation += 1;
    let newest = rules::RuleVersion {
        version: row.version,
        ..old.unwrap().unwrap()
    };
    rules::insert_version(&mut tx, world.workspace, &newest)
        .await
        .unwrap();
    rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    row.version
}

/// Versions of the runs, in the order in which they were made.
async fn versions(world: &World) -> Vec<i64> {
    let mut runs = world.runs().await;
    runs.sort_by_key(|run| run.id);
    runs.iter().map(|run| run.version).collect()
}

#[tokio::test]
async fn events_about_chosen_accounts_run_the_canary_until_another_version_is_live() {
    let mut world = World::new().await;
    let rule = world.rule(RULE).await;
    let version = canary(&world, rule, &RULE.replace("live", "tried")).await;
    assert_eq!(version, 2);
    let (own, other) = (
        json!({"account": chosen()}),
        json!({"account": AccountId::derived(&["other"])}),
    );
    world.event("test.happened", own.clone()).await;
    world.pass(MINUTE).await;
    world.event("test.happened", other).await;
    world.pass(MINUTE).await;
    world.crash_and_restart().await;
    world.event("test.happened", own.clone()).await;
    world.settle().await;
    assert_eq!(versions(&world).await, [2, 1, 2]);
    let runs = world.runs().await;
    assert!(
        runs.iter().all(|run| run.state == RunState::Finished),
        "{runs:?}"
    );
    assert_eq!(another(&world, rule).await, 3);
    world.engine.reload_rules().await.unwrap();
    world.pass(MINUTE).await;
    world.event("test.happened", own).await;
    assert_eq!(versions(&world).await, [2, 1, 2, 3]);
}

#[tokio::test]
async fn a_canary_that_is_withdrawn_or_switched_off_decides_nothing() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    canary(&world, rule, &RULE.replace("live", "tried")).await;
    let own = json!({"account": chosen()});
    let mut tx = world.engine.store.begin().await.unwrap();
    let found = rule_canaries::find(&mut tx, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    assert!(
        rule_canaries::withdraw(&mut tx, &found, "too much")
            .await
            .unwrap()
    );
    let mut row = rules::find(&mut tx, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    touch(&world, tx, rule).await;
    world.event("test.happened", own.clone()).await;
    assert_eq!(versions(&world).await, [1]);
    let mut tx = world.engine.store.begin().await.unwrap();
    row.is_enabled = false;
    row.generation += 1;
    rules::update(&mut tx, &row).await.unwrap();
    rule_canaries::delete(&mut tx, world.workspace, rule, None)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    canary(&world, rule, &RULE.replace("live", "tried")).await;
    world.event("test.happened", own).await;
    assert_eq!(versions(&world).await, [1]);
}

#[tokio::test]
async fn a_run_of_the_canary_that_queued_behind_one_of_the_live_version_has_its_turn() {
    let mut world = World::new().await;
    let waits = RULE.replace("steps: [", "steps: [{id: w, delay: {for: 1m}}, ");
    let rule = world.rule(&waits).await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    canary(&world, rule, &format!("{RULE}mode: {{kind: queued}}\n")).await;
    world
        .event("test.happened", json!({"account": chosen()}))
        .await;
    world.settle().await;
    let states = |runs: Vec<so_model::run::Run>| -> Vec<(i64, RunState)> {
        let mut runs: Vec<_> = runs.iter().map(|run| (run.version, run.state)).collect();
        runs.sort_unstable_by_key(|run| run.0);
        runs
    };
    let now = states(world.runs().await);
    assert_eq!(now[1], (2, RunState::Queued));
    world.pass(2 * MINUTE).await;
    world.settle().await;
    let now = states(world.runs().await);
    assert_eq!(now, [(1, RunState::Finished), (2, RunState::Finished)]);
}

#[tokio::test]
async fn an_event_that_waited_for_quiet_runs_the_version_that_decides_it() {
    let mut world = World::new().await;
    let quiet = format!("{RULE}debounce: {{for: 1m}}\n");
    let rule = world.rule(&quiet).await;
    canary(&world, rule, &quiet.replace("live", "tried")).await;
    world
        .event("test.happened", json!({"account": chosen()}))
        .await;
    world.pass(2 * MINUTE).await;
    world.settle().await;
    assert_eq!(versions(&world).await, [2]);
}

#[tokio::test]
async fn an_event_that_waited_for_quiet_runs_what_is_live_then_whatever_this_process_has_read() {
    let mut world = World::new().await;
    let quiet = format!("{RULE}debounce: {{for: 1m}}\n");
    let (tried, plain) = (world.rule(&quiet).await, world.rule(&quiet).await);
    canary(&world, tried, &quiet.replace("live", "tried")).await;
    world
        .event("test.happened", json!({"account": chosen()}))
        .await;
    assert_eq!(another(&world, tried).await, 3);
    assert_eq!(another(&world, plain).await, 2);
    world.pass(2 * MINUTE).await;
    world.settle().await;
    let mut runs = world.runs().await;
    runs.sort_by_key(|run| run.version);
    let runs: Vec<_> = runs.iter().map(|run| (run.rule, run.version)).collect();
    assert_eq!(runs, [(plain, 2), (tried, 3)]);
}

#[tokio::test]
async fn why_nothing_was_recorded_is_told_by_the_version_that_had_to_decide() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    canary(&world, rule, &RULE.replace("test.happened", "test.echoed")).await;
    let own = world
        .event("test.happened", json!({"account": chosen()}))
        .await;
    let why = world
        .engine
        .why(world.workspace, own.id, rule)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (why.outcome, why.version),
        (WhyOutcome::NotCandidate, Some(2))
    );
    let other = world.event("test.happened", json!({})).await;
    let why = world
        .engine
        .why(world.workspace, other.id, rule)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((why.outcome, why.version), (WhyOutcome::Started, Some(1)));
}
