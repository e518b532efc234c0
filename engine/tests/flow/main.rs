//! Modes and budgets under race: several starts of one rule and key at the same moment, from two engines of one database;
//! and rules that one of these saved and the other was not told of.
//!
//! Owns what each mode must leave behind, whichever start was first. Invariant: as many starts as the mode or the budget
//! allows are kept, every other one is a decision that says so, and the starts of one moment never end each other all.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "../../benches/engine/world.rs"]
mod world;

use std::collections::BTreeMap;

use serde_json::json;
use so_engine::Engine;
use so_model::{
    IdSource as _,
    event::NewEvent,
    id::WorkspaceId,
    run::{RunState, Verdict},
};
use so_store::{decisions, runs};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};
use world::KIND;

/// Starts at the same moment.
const AT_ONCE: usize = 3;
/// Keys tried one after another: each is a race of its own.
const KEYS: usize = 6;

/// What is left of the starts of one key.
#[derive(Debug, PartialEq, Eq)]
struct Left {
    running: usize,
    queued: usize,
    cancelled: usize,
    refused: usize,
}

/// Mode and what it must leave of three starts.
const MODES: [(&str, Left); 4] = [
    ("{kind: single", left(1, 0, 0, 2)),
    ("{kind: queued, max: 1", left(1, 1, 0, 1)),
    ("{kind: parallel, max: 2", left(2, 0, 0, 1)),
    ("{kind: restart", left(1, 0, 2, 0)),
];

/// Starts of one hour that a rule allows, and what that must leave of three.
const BUDGET: (usize, Left) = (2, left(2, 0, 0, 1));

const fn left(running: usize, queued: usize, cancelled: usize, refused: usize) -> Left {
    Left {
        running,
        queued,
        cancelled,
        refused,
    }
}

#[test]
fn starts_at_the_same_moment_are_kept_as_the_mode_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("modes.db").display());
    runtime.block_on(race(&[&url]));
    let test = "starts_at_the_same_moment_are_kept_as_the_mode_says (on PostgreSQL)";
    if let Some(cluster) = or_skip(test, PostgresCluster::shared()) {
        let url = cluster.create_fresh_database().unwrap();
        // Two processes share it.
        runtime.block_on(race(&[&url, &url]));
    }
}

#[test]
fn a_rule_that_another_process_saved_is_met_by_events_that_come_with_those_of_other_workspaces() {
    let test = "a_rule_that_another_process_saved_is_met (on PostgreSQL)";
    let Some(cluster) = or_skip(test, PostgresCluster::shared()) else {
        return;
    };
    let url = cluster.create_fresh_database().unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let ((here, _handed), (elsewhere, _)) =
            (world::engine(&url).await, world::engine(&url).await);
        let workspaces: [WorkspaceId; 3] = std::array::from_fn(|_| here.ids.new_id());
        for workspace in workspaces {
            world::settle_in(&here, workspace).await;
        }
        // Known to both, so that neither has read no rules at all.
        let rule = json!({"version": 1, "name": "Any", "triggers": [{"id": "t", "kind": KIND}],
            "steps": [{"id": "d", "delay": {"for": "1h"}}]});
        world::save_rule(&here, workspaces[0], rule.clone()).await;
        elsewhere.reload_rules().await.unwrap();
        for (round, workspace) in workspaces.into_iter().enumerate() {
            world::save_rule(&elsewhere, workspace, rule.clone()).await;
            let rules = if round == 0 { 2 } else { 1 };
            let others = workspaces.iter().filter(|other| **other != workspace);
            let events = others.chain([&workspace]).map(|workspace| {
                NewEvent::new(*workspace, KIND, json!({}))
                    .from_source("batch", here.ids.bits().to_string())
            });
            let mut tx = here.store.begin().await.unwrap();
            let admitted = here.admit_all(&mut tx, events.collect()).await.unwrap();
            tx.commit().await.unwrap();
            let started = admitted.last().unwrap().result.runs.len();
            assert_eq!(started, rules, "round {round}");
        }
        for engine in [here, elsewhere] {
            engine.store.close().await.unwrap();
        }
    });
}

async fn race(urls: &[&str]) {
    let mut engines = Vec::new();
    for url in urls {
        // Nothing is carried on: a run stays in the state in which it began.
        engines.push(world::engine(url).await);
    }
    let (first, _) = &engines[0];
    let workspace: WorkspaceId = first.ids.new_id();
    world::settle_in(first, workspace).await;
    for (mode, expected) in &MODES {
        let hook = mode.split([',', ' ']).nth(1).unwrap();
        let document = format!(
            "{{version: 1, name: Race, triggers: [{{id: t, kind: {KIND}, with: {{hook: {hook}}}}}], \
             mode: {mode}, key: \"{{{{ event.data.key }}}}\"}}, steps: [{{id: d, delay: {{for: 1h}}}}]}}"
        );
        let document = serde_yaml_ng::from_str(&document).unwrap();
        world::save_rule(first, workspace, document).await;
        for (engine, _) in &engines {
            engine.reload_rules().await.unwrap();
        }
        for key in 0..KEYS {
            let key = format!("k{key}");
            start_at_once(&engines, workspace, hook, &key).await;
            let found = look(first, workspace, &key, hook).await;
            assert_eq!(
                &found,
                expected,
                "mode {mode}}}, key {key}, {} engines",
                urls.len()
            );
        }
    }
    for round in 0..KEYS {
        race_for_places(&engines, workspace, &format!("budget-{round}")).await;
    }
    for (engine, _) in &engines {
        engine.store.close().await.unwrap();
    }
}

/// Starts of a rule of its own that has fewer places in this hour.
async fn race_for_places(engines: &[(Engine, impl Sized)], workspace: WorkspaceId, hook: &str) {
    let (places, expected) = BUDGET;
    let document = format!(
        "{{version: 1, name: Race, triggers: [{{id: t, kind: {KIND}, with: {{hook: {hook}}}}}], \
         limits: {{max_runs_per_hour: {places}}}, steps: [{{id: d, delay: {{for: 1h}}}}]}}"
    );
    let document = serde_yaml_ng::from_str(&document).unwrap();
    world::save_rule(&engines[0].0, workspace, document).await;
    for (engine, _) in engines {
        engine.reload_rules().await.unwrap();
    }
    start_at_once(engines, workspace, hook, "").await;
    let found = look(&engines[0].0, workspace, "", hook).await;
    assert_eq!(found, expected, "{hook}, {} engines", engines.len());
}

async fn start_at_once(
    engines: &[(Engine, impl Sized)],
    workspace: WorkspaceId,
    hook: &str,
    key: &str,
) {
    let starts = (0..AT_ONCE).map(|n| {
        let engine = engines[n % engines.len()].0.clone();
        let data = json!({"hook": hook, "key": key});
        tokio::spawn(admit(engine, NewEvent::new(workspace, KIND, data)))
    });
    let starts: Vec<_> = starts.collect();
    for start in starts {
        start.await.unwrap();
    }
}

/// One start in a transaction of its own; a database may ask to try again.
async fn admit(engine: Engine, event: NewEvent) {
    let event = event.from_source("race", engine.ids.bits().to_string());
    for _ in 0..20 {
        let mut tx = engine.store.begin().await.unwrap();
        let done = engine.admit(&mut tx, event.clone()).await;
        let done = match done {
            Ok(_) => tx.commit().await,
            Err(error) => Err(error),
        };
        match done {
            Ok(()) => return,
            Err(error) if error.is_transient() => {}
            Err(error) => panic!("{error}"),
        }
    }
    panic!("the start was never stored");
}

async fn look(engine: &Engine, workspace: WorkspaceId, key: &str, hook: &str) -> Left {
    let mut reader = engine.store.clone();
    let found = engine.index().of_workspace(workspace);
    let own = found.iter().find(|one| {
        let with = &one.document.triggers[0].with;
        with.get("hook").and_then(serde_json::Value::as_str) == Some(hook)
    });
    let id = own.unwrap().id;
    let text = id.to_string();
    let filter = runs::RunFilter {
        rule: &text,
        ..runs::RunFilter::default()
    };
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for run in runs::list(&mut reader, workspace, &filter, 1_000)
        .await
        .unwrap()
    {
        if run.key == key {
            *states.entry(run.state.as_str()).or_default() += 1;
        }
    }
    let told = decisions::list_for_rule(&mut reader, workspace, id, 1_000).await;
    let mut refused = 0;
    for stored in told.unwrap() {
        let event = so_store::events::find(&mut reader, workspace, stored.event).await;
        if event.unwrap().unwrap().data["key"] == key {
            let verdict = stored.decision.verdict;
            assert!(matches!(
                verdict,
                Verdict::ModeRefused | Verdict::OverBudget
            ));
            refused += 1;
        }
    }
    let of = |state: RunState| states.get(state.as_str()).copied().unwrap_or_default();
    left(
        of(RunState::Running),
        of(RunState::Queued),
        of(RunState::Cancelled),
        refused,
    )
}
