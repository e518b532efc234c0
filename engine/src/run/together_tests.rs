use serde_json::{Value, json};
use so_model::run::{Run, RunState, StepOutcome};
use so_store::events;

use crate::testing::World;

/// A rule with these steps, and an event that starts it.
async fn admitted(steps: &str) -> World {
    let world = World::new().await;
    let rule = format!(
        "{{version: 1, name: Both, triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
    );
    world.rule(&rule).await;
    world.event("test.happened", json!({})).await;
    world
}

async fn only(world: &World) -> Run {
    world.runs().await[0].clone()
}

/// What the latest try at a path came to.
async fn at(world: &World, path: &str) -> (StepOutcome, Value) {
    let memos = world.memos(&only(world).await).await;
    let memo = memos.iter().rev().find(|memo| memo.path == path);
    let memo = memo.unwrap_or_else(|| panic!("no memo at {path}"));
    (memo.outcome, memo.output.clone())
}

#[tokio::test]
async fn elements_side_by_side_call_at_the_same_time() {
    let mut world = admitted(
        "{id: l, for_each: {items: [1, 2, 3], parallel: 3}, do: [\
         {id: c, action: test.call, with: {meets: 3, n: \"{{ item }}\"}}]}",
    )
    .await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(world.remote_calls.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn ways_call_at_the_same_time_and_go_on_by_themselves() {
    let mut world = admitted(
        "{id: p, parallel: [\
         [{id: a, action: test.call, with: {meets: 2}}, {id: c, action: test.call, with: {meets: 4}}], \
         [{id: b, action: test.call_once, with: {meets: 2}}, {id: d, action: test.call_once, with: {meets: 4}}]]}",
    )
    .await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(world.remote_calls.lock().unwrap().len(), 4);
}

#[tokio::test]
async fn a_failed_call_loses_nothing_of_the_one_beside_it() {
    let mut world = admitted(
        "{id: p, parallel: [\
         [{id: a, action: test.call, retry: {tries: 1}, with: {meets: 2, fails: 9}}], \
         [{id: b, action: test.call, with: {meets: 2, text: kept}}]]}",
    )
    .await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Failed);
    let failed = at(&world, "/steps/0/parallel/0/0").await.0;
    assert_eq!(failed, StepOutcome::Failed);
    let (outcome, output) = at(&world, "/steps/0/parallel/1/0").await;
    assert_eq!(
        (outcome, &output["text"]),
        (StepOutcome::Done, &json!("kept"))
    );
}

#[tokio::test]
async fn of_calls_lost_on_their_way_those_that_may_be_are_repeated_and_the_others_end_as_unknown() {
    let mut world = admitted(
        "{id: p, parallel: [\
         [{id: a, action: test.call, with: {meets: 3}}], \
         [{id: b, action: test.call_once, with: {meets: 3}, \
           on_error: [{id: e, action: test.echo, with: {text: x}}]}]]}",
    )
    .await;
    let handed = world.receiver.try_recv().unwrap();
    let engine = world.engine.clone();
    let calls = world.remote_calls.clone();
    tokio::select! {
        () = engine.carry_out(handed) => panic!("a third call was made"),
        () = async {
            while calls.lock().unwrap().len() < 2 {
                tokio::task::yield_now().await;
            }
        } => {}
    }
    drop(engine);
    world.crash_and_restart().await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    let first = at(&world, "/steps/0/parallel/0/0").await.0;
    assert_eq!(first, StepOutcome::Done);
    let (outcome, output) = at(&world, "/steps/0/parallel/1/0").await;
    assert_eq!(outcome, StepOutcome::Failed);
    assert_eq!(output["code"], "step.outcome_unknown");
    let keys = world.remote_calls.lock().unwrap().clone();
    assert_eq!((keys.len(), &keys[2]), (3, &keys[0]), "{keys:?}");
}

#[tokio::test]
async fn calls_for_which_one_lane_has_a_single_place_are_made_in_turn() {
    let mut world = admitted(
        "{id: p, parallel: [\
         [{id: a, action: test.call, with: {lane: x}}], [{id: b, action: test.call, with: {lane: x}}]]}",
    )
    .await;
    let mut taken = Vec::new();
    while let Some(place) = world.engine.enter_free_lane("x") {
        taken.push(place);
    }
    taken.pop();
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(world.remote_calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn beside_the_calls_of_the_workers_there_are_only_so_many_others() {
    let mut world = admitted(
        "{id: l, for_each: {items: [1, 2, 3], parallel: 3}, do: [{id: c, action: test.call, with: {meets: 2}}]}",
    )
    .await;
    let places = world.engine.calls_beside.clone();
    let all = u32::try_from(places.available_permits()).unwrap();
    let taken = places.acquire_many_owned(all - 1).await.unwrap();
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(world.remote_calls.lock().unwrap().len(), 3);
    drop(taken);
    let left = world.engine.calls_beside.available_permits();
    assert_eq!(left, all as usize, "every place was given back");
}

#[tokio::test]
async fn events_of_calls_made_together_count_for_the_run() {
    let steps = "{id: p, parallel: [\
         [{id: a, action: test.call, with: {meets: 2, emits: test.echoed}}], \
         [{id: b, action: test.call, with: {meets: 2, emits: test.echoed}}]]}";
    let mut world = admitted(steps).await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    let mut reader = world.engine.store.clone();
    let echoed = events::list(&mut reader, world.workspace, "test.echoed", "", "", 10).await;
    assert_eq!(echoed.unwrap().len(), 2);

    let mut world = World::new().await;
    let rule = format!(
        "{{version: 1, name: Few, limits: {{max_events_per_run: 1}}, \
         triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
    );
    world.rule(&rule).await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Failed);
    let second = at(&world, "/steps/0/parallel/1/0").await.0;
    assert_eq!(second, StepOutcome::Done);
}
