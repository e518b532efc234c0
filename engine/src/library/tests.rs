//! Rules that call a library which changes while their runs wait.
#![allow(clippy::unwrap_used)]

use serde_json::{Value, json};
use so_model::{id::RuleId, run::RunState, time::HOUR, time::SECOND};
use so_store::{
    rules,
    script_library::{self, ModuleVersion},
};

use crate::testing::World;

const RULE: &str = "{version: 1, name: Calls, triggers: [{id: t, kind: test.happened}], \
    if: {expr: \"lib::texts::wanted(event.data)\"}, steps: [\
    {id: first, action: test.echo, with: {text: \"{{ lib::texts::say() }}\"}}, \
    {id: wait, delay: {for: 1h}}, \
    {id: last, action: test.echo, with: {text: \"{{ lib::texts::say() }}\"}}]}";

async fn save(world: &World, name: &str, source: &str) {
    let mut tx = world.engine.store.begin().await.unwrap();
    let revision = script_library::lock(&mut tx, world.workspace)
        .await
        .unwrap()
        + 1;
    let former = script_library::find(&mut tx, world.workspace, name)
        .await
        .unwrap();
    let version = ModuleVersion {
        name: name.into(),
        version: former.map_or(1, |former| former.version + 1),
        revision,
        source: source.into(),
        author: None,
        reason: String::new(),
        override_reason: None,
        created_at: world.engine.now(),
    };
    script_library::put(&mut tx, world.workspace, &version)
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// What the server does for each rule that calls a module that was saved.
async fn renew(world: &World, id: RuleId) {
    let mut tx = world.engine.store.begin().await.unwrap();
    let mut row = rules::find(&mut tx, world.workspace, id)
        .await
        .unwrap()
        .unwrap();
    let old = rules::find_version(&mut tx, world.workspace, id, row.version).await;
    let mut version = old.unwrap().unwrap();
    row.version += 1;
    row.generation += 1;
    world.clock.advance(SECOND);
    row.updated_at = world.engine.now();
    version.version = row.version;
    version.created_at = row.updated_at;
    rules::update(&mut tx, &row).await.unwrap();
    rules::insert_version(&mut tx, world.workspace, &version)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_rules().await.unwrap();
}

fn module(word: &str) -> String {
    format!("fn say() {{ \"{word}\" }} fn wanted(data) {{ data.wish == \"{word}\" }}")
}

async fn texts(world: &World) -> Vec<Vec<Value>> {
    let mut all = Vec::new();
    for run in world.runs().await {
        let memos = world.memos(&run).await;
        let said = memos.iter().filter(|memo| memo.output["text"].is_string());
        all.push(said.map(|memo| memo.output["text"].clone()).collect());
    }
    all.sort_by_key(|said: &Vec<Value>| said.first().map(Value::to_string));
    all
}

#[tokio::test]
async fn a_run_that_waits_goes_on_with_the_library_it_began_with() {
    let mut world = World::new().await;
    save(&world, "texts", &module("old")).await;
    let id = world.rule(RULE).await;
    world.event("test.happened", json!({"wish": "old"})).await;
    world.settle().await;
    save(&world, "texts", &module("young")).await;
    renew(&world, id).await;
    world.event("test.happened", json!({"wish": "young"})).await;
    // The condition is the new one as well.
    world.event("test.happened", json!({"wish": "old"})).await;
    world.settle().await;
    // Nothing is left in memory.
    world.crash_and_restart().await;
    world.pass(2 * HOUR).await;
    assert_eq!(
        texts(&world).await,
        [
            [json!("old"), json!("old")],
            [json!("young"), json!("young")]
        ]
    );
}

#[tokio::test]
async fn a_module_that_is_gone_is_still_there_for_those_who_began_with_it() {
    let mut world = World::new().await;
    save(&world, "texts", &module("old")).await;
    world.rule(RULE).await;
    world.event("test.happened", json!({"wish": "old"})).await;
    world.settle().await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let revision = script_library::lock(&mut tx, world.workspace)
        .await
        .unwrap()
        + 1;
    let now = world.engine.now();
    script_library::delete(&mut tx, world.workspace, "texts", revision, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.crash_and_restart().await;
    world.pass(2 * HOUR).await;
    let runs = world.runs().await;
    assert_eq!(runs[0].state, RunState::Finished, "{:?}", runs[0].reason);
    let now = world.engine.scripts_now(world.workspace).await.unwrap();
    assert_eq!(now.library().unwrap().names().count(), 0);
}

#[tokio::test]
async fn libraries_of_two_workspaces_are_two() {
    let world = World::new().await;
    save(&world, "texts", &module("mine")).await;
    let other = so_model::id::WorkspaceId::derived(&["other"]);
    let theirs = world.engine.scripts_now(other).await.unwrap();
    assert!(theirs.compile_expression("lib::texts::say()").is_err());
    let mine = world.engine.scripts_now(world.workspace).await.unwrap();
    assert!(mine.compile_expression("lib::texts::say()").is_ok());
}
