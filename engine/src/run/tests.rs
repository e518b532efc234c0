use serde_json::{Value, json};
use so_model::{
    event::NewEvent,
    run::{RunState, StepOutcome, Verdict},
    time::{HOUR, MINUTE, SECOND},
};
use so_store::decisions;

use crate::testing::World;

const ECHO: &str = r#"
version: 1
name: Echo
triggers: [{id: t, kind: test.happened}]
if: {field: event.data.likes, op: gt, value: 100}
steps:
  - {id: greet, set: {greeting: "Hello {{ event.data.name }}"}}
  - id: which
    if: {field: vars.greeting, op: contains, value: ann}
    then: [{id: a, action: test.echo, with: {text: "{{ vars.greeting }}!"}}]
    else: [{id: b, action: test.echo, with: {text: other}}]
  - {id: last, action: test.echo, with: {text: "{{ steps.a.output.text }}"}}
"#;

#[tokio::test]
async fn a_run_carries_values_from_step_to_step_and_stores_its_path() {
    let mut world = World::new().await;
    world.rule(ECHO).await;
    world
        .event("test.happened", json!({"likes": 120, "name": "Ann"}))
        .await;
    world.settle().await;

    let runs = world.runs().await;
    assert_eq!((runs.len(), runs[0].state), (1, RunState::Finished));
    assert_eq!(runs[0].decision.saw, json!(120));
    let memos = world.memos(&runs[0]).await;
    let paths: Vec<&str> = memos.iter().map(|memo| memo.path.as_str()).collect();
    assert_eq!(
        paths,
        ["/steps/0", "/steps/1", "/steps/1/then/0", "/steps/2"]
    );
    assert_eq!(memos[3].output, json!({"text": "Hello Ann!"}));
    assert_eq!(memos[1].condition.as_ref().unwrap().held, Some(true));
}

#[tokio::test]
async fn a_rule_that_does_not_start_says_why_with_the_value_seen() {
    let world = World::new().await;
    let rule = world.rule(ECHO).await;
    let event = world
        .event("test.happened", json!({"likes": 87, "name": "Ann"}))
        .await;

    assert!(world.runs().await.is_empty());
    let told =
        decisions::list_for_event(&mut world.engine.store.clone(), world.workspace, event.id)
            .await
            .unwrap();
    assert_eq!(told[0].decision.rule, rule);
    assert_eq!(told[0].decision.verdict, Verdict::ConditionFailed);
    assert!(
        told[0].decision.reason.contains("87"),
        "{}",
        told[0].decision.reason
    );
}

#[tokio::test]
async fn a_second_delivery_of_an_event_starts_no_second_run() {
    let mut world = World::new().await;
    world.rule(ECHO).await;
    for _ in 0..2 {
        let event = NewEvent::new(
            world.workspace,
            "test.happened",
            json!({"likes": 200, "name": "A"}),
        )
        .from_source("hook/1", "delivery-1");
        world.engine.ingest(event).await.unwrap();
    }
    world.settle().await;
    assert_eq!(world.runs().await.len(), 1);
}

#[tokio::test]
async fn a_delay_outlives_the_process() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Later, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: wait, delay: {for: 2h}}, {id: then, action: test.echo, with: {text: done}}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    assert_eq!(world.runs().await[0].state, RunState::Waiting);

    world.crash_and_restart().await;
    world.clock.advance(2 * HOUR - SECOND);
    world.settle().await;
    assert_eq!(world.runs().await[0].state, RunState::Waiting);
    world.clock.advance(SECOND);
    world.settle().await;
    assert_eq!(world.runs().await[0].state, RunState::Finished);
}

#[tokio::test]
async fn a_failed_call_is_repeated_with_the_same_key_after_its_delay() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Call, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: call, action: test.call, retry: {tries: 3, first: 10s, factor: 2.0, jitter: 0.0}}]}",
        )
        .await;
    *world.remote_failures.lock().unwrap() = 2;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    assert_eq!(world.remote_calls.lock().unwrap().len(), 1);
    world.clock.advance(9 * SECOND);
    world.settle().await;
    assert_eq!(world.remote_calls.lock().unwrap().len(), 1);
    world.clock.advance(SECOND);
    world.settle().await;
    world.clock.advance(20 * SECOND);
    world.settle().await;

    let calls = world.remote_calls.lock().unwrap().clone();
    assert_eq!(calls.len(), 3);
    assert!(calls.iter().all(|key| *key == calls[0]));
    let runs = world.runs().await;
    assert_eq!(runs[0].state, RunState::Finished);
    let outcomes: Vec<StepOutcome> = world
        .memos(&runs[0])
        .await
        .iter()
        .map(|memo| memo.outcome)
        .collect();
    assert_eq!(
        outcomes,
        [
            StepOutcome::Retrying,
            StepOutcome::Retrying,
            StepOutcome::Done
        ]
    );
}

#[tokio::test]
async fn tries_come_to_an_end_and_the_failure_starts_rules_of_its_own() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Call, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: call, action: test.call, retry: {tries: 2, first: 1s, factor: 1.0, jitter: 0.0}}]}",
        )
        .await;
    world
        .rule(
            "{version: 1, name: Notice, triggers: [{id: t, kind: run.failed}], steps: [\
             {id: note, action: test.echo, with: {text: \"{{ event.data.run.reason }}\"}}]}",
        )
        .await;
    *world.remote_failures.lock().unwrap() = 9;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    world.pass(MINUTE).await;

    assert_eq!(world.remote_calls.lock().unwrap().len(), 2);
    let runs = world.runs().await;
    assert_eq!(runs[0].state, RunState::Failed);
    assert_eq!(runs[1].state, RunState::Finished);
    let text = world.memos(&runs[1]).await[0].output["text"].clone();
    assert!(
        text.as_str().unwrap().contains("the other side is busy"),
        "{text}"
    );
}

#[tokio::test]
async fn a_failing_step_leaves_neither_rows_nor_events_behind() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Fails, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: e, action: test.echo, with: {emit: test.echoed, fail: true}}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    assert_eq!(world.runs().await[0].state, RunState::Failed);
    let mut reader = world.engine.store.clone();
    let echoed =
        so_store::events::list(&mut reader, world.workspace, "test.echoed", "", "", 9).await;
    assert!(echoed.unwrap().is_empty());
}

#[tokio::test]
async fn a_rule_that_feeds_itself_is_stopped_by_the_loop_guard() {
    let mut world = World::new().await;
    let rule = world
        .rule(
            "{version: 1, name: Circle, triggers: [{id: t, kind: test.echoed}], steps: [\
             {id: e, action: test.echo, with: {emit: test.echoed}}]}",
        )
        .await;
    world.event("test.echoed", json!({})).await;
    world.settle().await;
    assert_eq!(world.runs().await.len(), 3);
    let mut reader = world.engine.store.clone();
    let told = decisions::list_for_rule(&mut reader, world.workspace, rule, 9)
        .await
        .unwrap();
    assert_eq!(told[0].decision.verdict, Verdict::LoopGuard);
}

#[tokio::test]
async fn modes_decide_what_a_second_start_does() {
    for (mode, states) in [
        ("single", vec![RunState::Waiting]),
        ("queued", vec![RunState::Waiting, RunState::Queued]),
        ("parallel", vec![RunState::Waiting, RunState::Waiting]),
        ("restart", vec![RunState::Cancelled, RunState::Waiting]),
    ] {
        let mut world = World::new().await;
        world
            .rule(&format!(
                "{{version: 1, name: Mode, triggers: [{{id: t, kind: test.happened}}], \
                 mode: {{kind: {mode}, key: \"{{{{ event.data.key }}}}\"}}, \
                 steps: [{{id: wait, delay: {{for: 1h}}}}]}}"
            ))
            .await;
        for key in ["a", "a"] {
            world.event("test.happened", json!({"key": key})).await;
            world.settle().await;
        }
        let seen: Vec<RunState> = world.runs().await.iter().map(|run| run.state).collect();
        assert_eq!(seen, states, "mode {mode}");
        world.event("test.happened", json!({"key": "b"})).await;
        world.settle().await;
        assert_eq!(
            world.runs().await.last().unwrap().state,
            RunState::Waiting,
            "mode {mode}"
        );
        world.pass(HOUR).await;
        world.pass(HOUR).await;
        assert!(
            world.runs().await.iter().all(|run| run.state.is_over()),
            "mode {mode}"
        );
    }
}

#[tokio::test]
async fn throttle_dedupe_and_debounce_bound_the_starts() {
    let mut world = World::new().await;
    for (name, bound) in [
        ("throttle", "throttle: {max: 2, per: 1h}"),
        (
            "dedupe",
            "dedupe: {key: \"{{ event.data.id }}\", within: 1d}",
        ),
        ("debounce", "debounce: {for: 5m}"),
    ] {
        world
            .rule(&format!(
                "{{version: 1, name: {name}, triggers: [{{id: t, kind: test.happened}}], {bound}, \
                 steps: [{{id: e, action: test.echo, with: {{n: \"{{{{ event.data.n }}}}\"}}}}]}}"
            ))
            .await;
    }
    for n in 1..=3 {
        world
            .event("test.happened", json!({"id": "same", "n": n}))
            .await;
        world.settle().await;
        world.clock.advance(MINUTE);
    }
    // Two within the throttle, one for the key, none yet after the quiet spell.
    assert_eq!(world.runs().await.len(), 3);
    world.clock.advance(5 * MINUTE);
    world.settle().await;
    let runs = world.runs().await;
    assert_eq!(runs.len(), 4);
    assert_eq!(world.memos(&runs[3]).await[0].output, json!({"n": 3}));
}

#[tokio::test]
async fn a_cron_time_starts_a_rule_once_and_what_was_missed_follows_its_policy() {
    let mut world = World::new().await;
    for (name, policy) in [
        ("late", "{policy: late, within: 3h}"),
        ("once", "{policy: once}"),
        ("skip", "{policy: skip}"),
    ] {
        world
            .rule(&format!(
                "{{version: 1, name: {name}, triggers: [{{id: t, kind: time.cron, \
                 with: {{expression: \"0 * * * *\"}}, catch_up: {policy}}}], \
                 steps: [{{id: e, action: test.echo, with: {{at: \"{{{{ event.data.occurrence.local }}}}\"}}}}]}}"
            ))
            .await;
    }
    world.clock.advance(HOUR);
    world.settle().await;
    world.settle().await;
    assert_eq!(world.runs().await.len(), 3);
    // Down for five hours and a half: 3 runs within the window, 1 for once, none for skip.
    world.crash_and_restart().await;
    world.clock.advance(5 * HOUR + 30 * MINUTE);
    world.settle().await;
    assert_eq!(world.runs().await.len(), 3 + 3 + 1);
}

/// As if the process had died after the call of the only run, and before its outcome was stored.
pub(super) async fn die_within_the_call(world: &World, job: &so_store::jobs::Job) {
    let run = world.runs().await[0].clone();
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::Sql::run(
        &mut tx,
        "UPDATE memos SET outcome = 'started', finished_at = NULL",
        vec![],
    )
    .await
    .unwrap();
    so_store::Sql::run(
        &mut tx,
        "UPDATE runs SET state = 'running', finished_at = NULL",
        vec![],
    )
    .await
    .unwrap();
    so_store::jobs::wake(
        &mut tx,
        job.id,
        world.workspace,
        "run",
        &run.id.to_string(),
        world.engine.now(),
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

#[tokio::test]
async fn a_call_that_must_not_be_repeated_is_not_after_a_crash() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Once, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: call, action: test.call_once}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    let handed = world.receiver.try_recv().unwrap();
    let job = handed.job.clone();
    world.engine.carry_out(handed).await;
    die_within_the_call(&world, &job).await;
    world.settle().await;

    assert_eq!(world.remote_calls.lock().unwrap().len(), 1);
    let run = world.runs().await[0].clone();
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.unwrap().contains("nobody knows"));
}

#[tokio::test]
async fn an_edited_rule_does_not_change_a_run_that_has_started() {
    let mut world = World::new().await;
    let id = world
        .rule(
            "{version: 1, name: Old, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: wait, delay: {for: 1h}}, {id: e, action: test.echo, with: {text: old}}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    let mut reader = world.engine.store.clone();
    let mut row = so_store::rules::find(&mut reader, world.workspace, id)
        .await
        .unwrap()
        .unwrap();
    let mut version = so_store::rules::find_version(&mut reader, world.workspace, id, 1)
        .await
        .unwrap()
        .unwrap();
    version.version = 2;
    version.document.steps.truncate(1);
    row.version = 2;
    row.generation += 1;
    world.clock.advance(SECOND);
    row.updated_at = world.engine.now();
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::rules::insert_version(&mut tx, world.workspace, &version)
        .await
        .unwrap();
    so_store::rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_rules().await.unwrap();
    world.pass(HOUR).await;
    let runs = world.runs().await;
    let memos = world.memos(&runs[0]).await;
    assert_eq!(memos.last().unwrap().output, json!({"text": "old"}));
    assert_ne!(memos.last().unwrap().output, Value::Null);
}

#[tokio::test]
async fn a_run_that_was_cancelled_does_no_further_step() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Later, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: wait, delay: {for: 1h}}, {id: e, action: test.echo, with: {emit: test.echoed}}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    let run = world.runs().await[0].clone();
    let now = world.engine.now();
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::runs::set_state(
        &mut tx,
        world.workspace,
        run.id,
        RunState::Cancelled,
        Some("by hand"),
        now,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    world.pass(2 * HOUR).await;
    assert_eq!(world.runs().await[0].state, RunState::Cancelled);
    let mut reader = world.engine.store.clone();
    let echoed =
        so_store::events::list(&mut reader, world.workspace, "test.echoed", "", "", 9).await;
    assert!(echoed.unwrap().is_empty());
}

#[tokio::test]
async fn a_queue_goes_on_when_the_rule_became_one_while_a_run_was_active() {
    let mut world = World::new().await;
    let text = |mode: &str| {
        format!(
            "{{version: 1, name: Mode, triggers: [{{id: t, kind: test.happened}}], mode: {{kind: {mode}}}, \
             steps: [{{id: wait, delay: {{for: 1h}}}}]}}"
        )
    };
    let id = world.rule(&text("parallel")).await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    let mut reader = world.engine.store.clone();
    let mut row = so_store::rules::find(&mut reader, world.workspace, id)
        .await
        .unwrap()
        .unwrap();
    let mut version = so_store::rules::find_version(&mut reader, world.workspace, id, 1)
        .await
        .unwrap()
        .unwrap();
    version.version = 2;
    version.document = serde_yaml_ng::from_str(&text("queued")).unwrap();
    row.version = 2;
    row.generation += 1;
    world.clock.advance(SECOND);
    row.updated_at = world.engine.now();
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::rules::insert_version(&mut tx, world.workspace, &version)
        .await
        .unwrap();
    so_store::rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_rules().await.unwrap();
    world.event("test.happened", json!({})).await;
    world.settle().await;
    assert_eq!(world.runs().await[1].state, RunState::Queued);
    world.pass(3 * HOUR).await;
    assert!(
        world
            .runs()
            .await
            .iter()
            .all(|run| run.state == RunState::Finished)
    );
}

#[tokio::test]
async fn claimed_work_that_nobody_does_is_freed_though_the_server_lives() {
    let world = World::new().await;
    world.rule(ECHO).await;
    world
        .event("test.happened", json!({"likes": 200, "name": "Ann"}))
        .await;
    // As when a caller went away between the commit and the hand-over.
    let mut tx = world.engine.store.begin().await.unwrap();
    let until = world.engine.now().plus(world.engine.config.lease);
    so_store::jobs::rescue_all(&mut tx).await.unwrap();
    let lost = so_store::jobs::claim(&mut tx, "run", world.engine.now(), "test", until, 9)
        .await
        .unwrap();
    assert_eq!(lost.len(), 1);
    tx.commit().await.unwrap();
    world.engine.forget_held();
    world.clock.advance(world.engine.config.lease + SECOND);
    world.engine.renew_leases(world.engine.now()).await.unwrap();
    assert_eq!(world.engine.claim_jobs(9).await.unwrap().len(), 1);
}
