//! Runs that share a transaction: what one of them meets with is no other's business.

use serde_json::json;
use so_model::run::{RunState, StepOutcome};
use so_store::jobs;

use crate::testing::World;

/// Starts runs of every rule given and carries them on side by side; answers the state of each rule's runs in order.
async fn carried(world: &mut World, events: &[&str]) -> Vec<RunState> {
    for kind in events {
        world.event(kind, json!({})).await;
    }
    together(world).await;
    let runs = world.runs().await;
    runs.iter().map(|run| run.state).collect()
}

/// Carries on all that was handed over, at the same time.
async fn together(world: &mut World) {
    let handed = std::iter::from_fn(|| world.receiver.try_recv());
    let work: Vec<_> = handed
        .map(|handed| {
            let engine = world.engine.clone();
            tokio::spawn(async move { engine.carry_out(handed).await })
        })
        .collect();
    for one in work {
        one.await.ok();
    }
}

fn rule(name: &str, kind: &str, steps: &str) -> String {
    format!("{{version: 1, name: {name}, triggers: [{{id: t, kind: {kind}}}], steps: [{steps}]}}")
}

#[tokio::test]
async fn each_run_ends_as_it_would_by_itself() {
    let mut world = World::new().await;
    let done = "{id: a, action: test.echo, with: {text: \"{{ event.id }}\"}}, {id: b, set: {x: 1}}";
    let failed = "{id: a, action: test.echo, with: {fail: true}}";
    let waits = "{id: a, delay: {for: 1h}}";
    world.rule(&rule("Done", "test.happened", done)).await;
    world.rule(&rule("Failed", "test.happened", failed)).await;
    world.rule(&rule("Waits", "test.happened", waits)).await;
    let mut states = carried(&mut world, &["test.happened", "test.happened"]).await;
    states.sort_by_key(|state| state.as_str());
    use RunState::{Failed, Finished, Waiting};
    assert_eq!(
        states,
        [Failed, Failed, Finished, Finished, Waiting, Waiting]
    );
    for run in world.runs().await {
        let memos = world.memos(&run).await;
        match run.state {
            Finished => {
                assert_eq!(memos.len(), 2);
                assert_eq!(memos[0].output["text"], run.event.to_string());
            }
            Failed => assert_eq!(memos[0].outcome, StepOutcome::Failed),
            _ => assert_eq!(memos[0].outcome, StepOutcome::Waiting),
        }
    }
    let left = jobs::count_by_state(&mut world.engine.store.clone()).await;
    assert_eq!(left.unwrap(), [("available".to_owned(), 2)]);
}

/// Carries a run with this step on beside two that are fine, which come to their end.
async fn beside_two_others(step: &str) -> World {
    let mut world = World::new().await;
    let done = "{id: a, action: test.echo, with: {text: x}}";
    for (name, steps) in [("One", step), ("Two", done), ("Three", done)] {
        world.rule(&rule(name, "test.happened", steps)).await;
    }
    let mut states = carried(&mut world, &["test.happened"]).await;
    states.sort_by_key(|state| state.as_str());
    assert_eq!(
        states,
        [RunState::Finished, RunState::Finished, RunState::Running]
    );
    world
}

#[tokio::test]
async fn a_step_that_panics_takes_no_other_run_with_it() {
    beside_two_others("{id: a, action: test.echo, with: {panic: true}}").await;
}

#[tokio::test]
async fn a_step_whose_statement_cannot_be_made_takes_no_other_run_with_it() {
    let world = beside_two_others("{id: a, action: test.echo, with: {lose: true}}").await;
    let left = jobs::count_by_state(&mut world.engine.store.clone()).await;
    assert_eq!(left.unwrap(), [("available".to_owned(), 1)]);
}

#[tokio::test]
async fn a_run_whose_job_somebody_else_has_is_left_to_him() {
    let mut world = World::new().await;
    let done = "{id: a, action: test.echo, with: {text: x}}";
    world.rule(&rule("Done", "test.happened", done)).await;
    for _ in 0..3 {
        world.event("test.happened", json!({})).await;
    }
    let mut handed: Vec<_> = std::iter::from_fn(|| world.receiver.try_recv()).collect();
    // As a claim by another process after the lease has ended.
    handed[1].job.epoch -= 1;
    let lost = handed[1].job.subject.clone();
    let work = handed.into_iter().map(|handed| {
        let engine = world.engine.clone();
        tokio::spawn(async move { engine.carry_out(handed).await })
    });
    futures_util::future::join_all(work).await;
    for run in world.runs().await {
        let memos = world.memos(&run).await.len();
        let expected = match run.id.to_string() == lost {
            true => (RunState::Running, 0),
            false => (RunState::Finished, 1),
        };
        assert_eq!((run.state, memos), expected);
    }
}

#[tokio::test]
async fn a_cancelled_run_takes_no_further_step() {
    let mut world = World::new().await;
    let steps = "{id: a, action: test.echo, with: {text: x}}";
    // The mode keeps a run from being taken for one that nobody can have cancelled yet.
    let rule =
        rule("Done", "test.happened", steps).replace("steps:", "mode: {kind: queued}, steps:");
    world.rule(&rule).await;
    world.event("test.happened", json!({})).await;
    let run = world.runs().await.remove(0);
    let mut tx = world.engine.store.begin().await.unwrap();
    crate::run::cancel(&world.engine, &mut tx, &run, world.engine.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    together(&mut world).await;
    let run = world.runs().await.remove(0);
    assert_eq!(run.state, RunState::Cancelled);
    assert!(world.memos(&run).await.is_empty());
}

#[tokio::test]
async fn an_event_made_beside_a_run_that_waits_for_it_is_judged_by_what_that_run_knows() {
    let mut world = World::new().await;
    let waits = "{id: a, set: {x: 1}}, \
        {id: b, wait_for: {event: test.echoed, timeout: 1h, if: {field: vars.x, op: eq, value: 1}}}";
    let emits = "{id: a, action: test.echo, with: {emit: test.echoed}}";
    // By name in the order of their making: the one that waits comes first in the transaction.
    world.rule(&rule("Waits", "test.happened", waits)).await;
    world.rule(&rule("Emits", "test.happened", emits)).await;
    carried(&mut world, &["test.happened"]).await;
    world.settle().await;
    let states: Vec<_> = world.runs().await.iter().map(|run| run.state).collect();
    assert_eq!(states, [RunState::Finished, RunState::Finished]);
}

#[tokio::test]
async fn runs_that_are_read_together_go_on_with_what_each_of_them_knew() {
    let mut world = World::new().await;
    let steps = "{id: a, set: {own: \"{{ event.id }}\"}}, {id: b, delay: {for: 1h}}, \
        {id: c, action: test.echo, with: {text: \"{{ vars.own }}\"}}";
    world.rule(&rule("Waits", "test.happened", steps)).await;
    carried(&mut world, &["test.happened"; 5]).await;
    let cancelled = world.runs().await.remove(2);
    let mut tx = world.engine.store.begin().await.unwrap();
    crate::run::cancel(&world.engine, &mut tx, &cancelled, world.engine.now())
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(2 * so_model::time::HOUR);
    let claimed = world.engine.claim_jobs(64).await.unwrap();
    assert_eq!(claimed.len(), 5);
    let claimed = world.engine.read_ahead(claimed).await;
    let read = claimed
        .iter()
        .filter(|handed| handed.read.is_some())
        .count();
    assert_eq!(read, 4, "the run that is over is not read");
    for handed in claimed {
        world.engine.carry_out(handed).await;
    }
    for run in world.runs().await {
        let memos = world.memos(&run).await;
        if run.id == cancelled.id {
            assert_eq!((run.state, memos.len()), (RunState::Cancelled, 2));
            continue;
        }
        assert_eq!(run.state, RunState::Finished);
        assert_eq!(memos[2].output["text"], run.event.to_string());
    }
    let left = jobs::count_by_state(&mut world.engine.store.clone()).await;
    assert!(left.unwrap().is_empty());
}

#[tokio::test]
async fn a_run_of_many_steps_leaves_the_others_their_turn() {
    let mut world = World::new().await;
    let items: Vec<u32> = (0..150).collect();
    let many = format!(
        "{{id: l, for_each: {{items: {items:?}, max: 200}}, do: [\
         {{id: e, action: test.echo, with: {{n: \"{{{{ item }}}}\"}}}}]}}"
    );
    let done = "{id: a, action: test.echo, with: {text: x}}";
    world.rule(&rule("Many", "test.happened", &many)).await;
    world.rule(&rule("Done", "test.happened", done)).await;
    let states = carried(&mut world, &["test.happened"; 3]).await;
    assert_eq!(states, [RunState::Finished; 6]);
    for run in world.runs().await {
        let memos = world.memos(&run).await.len();
        assert!(memos == 1 || memos == 151, "{memos}");
    }
}
