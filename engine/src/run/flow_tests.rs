use serde_json::{Value, json};
use so_model::{
    event::NewEvent,
    run::{Run, RunState, StepOutcome},
    time::{HOUR, MINUTE, SECOND},
};

use crate::testing::World;

/// A rule with these steps, started by an event with this data; settled once.
async fn started(steps: &str, data: Value) -> World {
    let mut world = World::new().await;
    let rule = format!(
        "{{version: 1, name: Flow, triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
    );
    world.rule(&rule).await;
    world.event("test.happened", data).await;
    world.settle().await;
    world
}

async fn only(world: &World) -> Run {
    world.runs().await[0].clone()
}

/// Output of the latest try at a path.
async fn output(world: &World, path: &str) -> Value {
    let memos = world.memos(&only(world).await).await;
    let found = memos.iter().rev().find(|memo| memo.path == path);
    found
        .unwrap_or_else(|| panic!("no memo at {path}"))
        .output
        .clone()
}

async fn paths(world: &World) -> Vec<String> {
    let mut paths: Vec<String> = world
        .memos(&only(world).await)
        .await
        .into_iter()
        .map(|memo| memo.path)
        .collect();
    paths.sort();
    paths
}

#[tokio::test]
async fn what_stands_in_for_a_failed_step_reads_the_error_and_the_run_goes_on() {
    let world = started(
        "{id: a, action: test.echo, with: {fail: true}, on_error: [\
            {id: b, action: test.echo, with: {text: \"{{ steps.a.error.code }}: {{ steps.a.error.message }}\"}}]}, \
         {id: c, action: test.echo, with: {text: after}}",
        json!({}),
    )
    .await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(
        output(&world, "/steps/0/on_error/0").await,
        json!({"text": "test.failed: told to fail"})
    );
    assert_eq!(output(&world, "/steps/1").await, json!({"text": "after"}));
}

#[tokio::test]
async fn a_failure_within_a_branch_is_answered_by_the_step_around_it() {
    let world = started(
        "{id: i, if: {expr: \"true\"}, then: [{id: a, action: test.echo, with: {fail: true}}], on_error: [\
            {id: b, action: test.echo, with: {text: \"{{ steps.i.error.step }}\"}}]}",
        json!({}),
    )
    .await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(
        output(&world, "/steps/0/on_error/0").await,
        json!({"text": "a"})
    );
}

#[tokio::test]
async fn a_step_that_is_out_of_time_is_tried_no_more() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Slow, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: call, action: test.call, timeout: 25s, retry: {tries: 9, first: 10s, factor: 1.0, jitter: 0.0}, \
              on_error: [{id: b, action: test.echo, with: {text: late}}]}]}",
        )
        .await;
    *world.remote_failures.lock().unwrap() = 99;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    for _ in 0..6 {
        world.clock.advance(10 * SECOND);
        world.settle().await;
    }
    // At 0, 10 and 20 seconds; the next would be at 30.
    assert_eq!(world.remote_calls.lock().unwrap().len(), 3);
    assert_eq!(only(&world).await.state, RunState::Finished);
}

#[tokio::test]
async fn a_time_out_during_a_call_that_nobody_knows_about_says_so() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Once, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: once, action: test.call_once, timeout: 30s, \
              on_error: [{id: b, action: test.echo, with: {text: \"{{ steps.once.error.code }}\"}}]}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    let handed = world.receiver.try_recv().unwrap();
    let job = handed.job.clone();
    world.engine.carry_out(handed).await;
    super::tests::die_within_the_call(&world, &job).await;
    world.clock.advance(MINUTE);
    world.settle().await;
    assert_eq!(world.remote_calls.lock().unwrap().len(), 1);
    assert_eq!(
        output(&world, "/steps/0/on_error/0").await,
        json!({"text": "step.outcome_unknown"})
    );
    let memos = world.memos(&only(&world).await).await;
    let mut latest = memos.iter().rev();
    let call = latest.find(|memo| memo.path == "/steps/0").unwrap();
    let error = call.error.clone().unwrap();
    assert!(
        error.contains("30s") && error.contains("nobody knows"),
        "{error}"
    );
}

#[tokio::test]
async fn a_time_out_around_a_wait_ends_it_at_its_moment() {
    let mut world = started(
        "{id: p, timeout: 10m, parallel: [[{id: d, delay: {for: 1h}}], [{id: e, action: test.echo}]], \
          on_error: [{id: b, action: test.echo, with: {text: \"{{ steps.p.error.message }}\"}}]}",
        json!({}),
    )
    .await;
    world.crash_and_restart().await;
    world.clock.advance(10 * MINUTE - SECOND);
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.clock.advance(SECOND);
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    let told = output(&world, "/steps/0/on_error/0").await;
    assert_eq!(told, json!({"text": "it took longer than 10m"}));
}

#[tokio::test]
async fn a_loop_goes_through_its_list_in_order_and_carries_variables_on() {
    let mut world = started(
        "{id: s, set: {sum: 0}}, \
         {id: l, for_each: {items: \"{{ event.data.list }}\"}, do: [\
            {id: w, delay: {for: 1m}}, \
            {id: add, set: {sum: \"{{ vars.sum + item.n }}\"}}, \
            {id: big, if: {field: item.n, op: gt, value: 1}, then: [{id: e, action: test.echo, with: {n: \"{{ item.n }}\"}}]}]}, \
         {id: last, action: test.echo, with: {sum: \"{{ vars.sum }}\", count: \"{{ steps.l.output.count }}\"}}",
        json!({"list": [{"n": 1}, {"n": 2}, {"n": 3}]}),
    )
    .await;
    for _ in 0..3 {
        assert_eq!(only(&world).await.state, RunState::Waiting);
        world.crash_and_restart().await;
        world.pass(MINUTE).await;
    }
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(
        output(&world, "/steps/2").await,
        json!({"sum": 6, "count": 3})
    );
    let paths = paths(&world).await;
    assert!(
        paths.contains(&"/steps/1/each/2/2/then/0".to_owned()),
        "{paths:?}"
    );
    assert!(!paths.contains(&"/steps/1/each/0/2/then/0".to_owned()));
}

#[tokio::test]
async fn elements_side_by_side_wait_together_and_never_more_than_allowed() {
    let mut world = started(
        "{id: l, for_each: {items: [1, 2, 3], parallel: 2}, do: [\
            {id: w, delay: {for: 1m}}, {id: e, action: test.echo, with: {n: \"{{ item }}\"}}]}",
        json!({}),
    )
    .await;
    let begun = paths(&world).await;
    assert_eq!(
        begun,
        ["/steps/0", "/steps/0/each/0/0", "/steps/0/each/1/0"]
    );
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(output(&world, "/steps/0/each/2/1").await, json!({"n": 3}));
}

#[tokio::test]
async fn one_failed_element_fails_the_loop_after_all_others_were_done() {
    let world = started(
        "{id: l, for_each: {items: [false, true, false]}, do: [\
            {id: e, action: test.echo, with: {fail: \"{{ item }}\", emit: test.echoed}}]}",
        json!({}),
    )
    .await;
    let run = only(&world).await;
    assert_eq!(run.state, RunState::Failed);
    let reason = run.reason.unwrap();
    assert!(reason.contains("1 of 3 elements failed"), "{reason}");
    let memos = world.memos(&only(&world).await).await;
    let done = memos
        .iter()
        .filter(|memo| memo.outcome == StepOutcome::Done);
    assert_eq!(done.count(), 2);
}

#[tokio::test]
async fn a_list_that_is_too_long_or_none_fails_the_step_with_its_size() {
    for (items, told) in [("[1, 2, 3]", "3 elements"), ("\"{{ 7 }}\"", "a number")] {
        let world = started(
            &format!("{{id: l, for_each: {{items: {items}, max: 2}}, do: [{{id: e, action: test.echo}}]}}"),
            json!({}),
        )
        .await;
        let reason = only(&world).await.reason.unwrap();
        assert!(reason.contains(told), "{reason}");
    }
}

#[tokio::test]
async fn ways_side_by_side_wait_at_the_same_time_and_do_not_see_each_other() {
    let mut world = started(
        "{id: s, set: {x: 0}}, \
         {id: p, parallel: [\
            [{id: d1, delay: {for: 10m}}, {id: s1, set: {x: 1}}, {id: e1, action: test.echo, with: {x: \"{{ vars.x }}\"}}], \
            [{id: d2, delay: {for: 20m}}, {id: e2, action: test.echo, with: {x: \"{{ vars.x }}\"}}]]}, \
         {id: z, action: test.echo, with: {x: \"{{ vars.x }}\"}}",
        json!({}),
    )
    .await;
    world.crash_and_restart().await;
    world.clock.advance(10 * MINUTE);
    world.settle().await;
    assert_eq!(
        output(&world, "/steps/1/parallel/0/2").await,
        json!({"x": 1})
    );
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.clock.advance(10 * MINUTE);
    world.settle().await;
    assert_eq!(
        output(&world, "/steps/1/parallel/1/1").await,
        json!({"x": 0})
    );
    assert_eq!(output(&world, "/steps/2").await, json!({"x": 1}));
    assert_eq!(only(&world).await.state, RunState::Finished);
}

#[tokio::test]
async fn a_way_that_tries_again_does_not_hold_up_the_other() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Both, triggers: [{id: t, kind: test.happened}], steps: [{id: p, parallel: [\
             [{id: call, action: test.call, retry: {tries: 3, first: 1h, cap: 1h, jitter: 0.0}}], \
             [{id: d, delay: {for: 1m}}, {id: e, action: test.echo, with: {text: quick}}]]}]}",
        )
        .await;
    *world.remote_failures.lock().unwrap() = 1;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    world.pass(MINUTE).await;
    assert_eq!(
        output(&world, "/steps/0/parallel/1/1").await,
        json!({"text": "quick"})
    );
    assert_eq!(world.remote_calls.lock().unwrap().len(), 1);
    world.clock.advance(HOUR);
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(world.remote_calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn a_stop_within_a_loop_ends_the_run() {
    let world = started(
        "{id: l, for_each: {items: [1, 2]}, do: [{id: x, stop: {reason: \"at {{ item }}\"}}]}",
        json!({}),
    )
    .await;
    let run = only(&world).await;
    assert_eq!(
        (run.state, run.reason),
        (RunState::Finished, Some("at 1".into()))
    );
}

const WAIT: &str = "{id: w, wait_for: {event: test.echoed, timeout: 1h, \
    if: {field: event.data.n, op: eq, value: 7}}}, \
    {id: e, action: test.echo, with: {late: \"{{ steps.w.output.timed_out }}\", \
     n: \"{{ if steps.w.output.timed_out { 0 } else { steps.w.output.event.data.n } }}\"}}";

#[tokio::test]
async fn a_wait_ends_with_the_first_event_that_fits() {
    let mut world = started(WAIT, json!({})).await;
    world.event("test.echoed", json!({"n": 6})).await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.crash_and_restart().await;
    world.event("test.echoed", json!({"n": 7})).await;
    world
        .event("test.echoed", json!({"n": 7, "second": true}))
        .await;
    world.settle().await;
    assert_eq!(
        output(&world, "/steps/1").await,
        json!({"late": false, "n": 7})
    );
    let met = output(&world, "/steps/0").await;
    assert_eq!(met["event"]["data"], json!({"n": 7}));
}

#[tokio::test]
async fn a_wait_is_over_at_its_end_and_an_event_from_before_does_not_count() {
    let mut world = World::new().await;
    world.event("test.echoed", json!({"n": 7})).await;
    world
        .rule(&format!(
            "{{version: 1, name: W, triggers: [{{id: t, kind: test.happened}}], steps: [{WAIT}]}}"
        ))
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    world.clock.advance(HOUR - SECOND);
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.clock.advance(SECOND);
    world.settle().await;
    assert_eq!(
        output(&world, "/steps/1").await,
        json!({"late": true, "n": 0})
    );
    // Nobody waits any more.
    world.event("test.echoed", json!({"n": 7})).await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
}

#[tokio::test]
async fn a_wait_that_must_be_met_fails_its_step_at_its_end() {
    let mut world = started(
        "{id: w, wait_for: {event: test.echoed, timeout: 1h, on_timeout: fail}}",
        json!({}),
    )
    .await;
    world.clock.advance(HOUR);
    world.settle().await;
    let run = only(&world).await;
    assert_eq!(run.state, RunState::Failed);
    assert!(run.reason.unwrap().contains("test.echoed"));
}

#[tokio::test]
async fn a_wait_for_a_subject_is_ended_by_that_one_only() {
    let mut world = started(
        "{id: w, wait_for: {event: test.echoed, subject: \"{{ event.data.post }}\", timeout: 1h}}",
        json!({"post": "two"}),
    )
    .await;
    for (subject, state) in [("one", RunState::Waiting), ("two", RunState::Finished)] {
        let event = NewEvent::new(world.workspace, "test.echoed", json!({})).about(subject);
        world.engine.ingest(event).await.unwrap();
        world.settle().await;
        assert_eq!(only(&world).await.state, state, "{subject}");
    }
}

#[tokio::test]
async fn a_wait_of_a_run_that_was_opened_again_is_still_met() {
    let mut world = started(
        "{id: w, wait_for: {event: test.echoed, timeout: 1h}}",
        json!({}),
    )
    .await;
    let run = only(&world).await;
    assert_eq!(cancel(&world, &run).await, RunState::Cancelled);
    // The event finds that nobody waits, and takes the row away.
    world.event("test.echoed", json!({})).await;
    world.settle().await;
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::runs::reopen(&mut tx, world.workspace, run.id)
        .await
        .unwrap();
    let now = world.engine.now();
    super::wake_run(&world.engine, &mut tx, world.workspace, run.id, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Waiting);
    world.event("test.echoed", json!({})).await;
    world.settle().await;
    assert_eq!(only(&world).await.state, RunState::Finished);
}

/// Waits for an event of `test.echoed` that are still looked up.
async fn waits(world: &World, run: &Run) -> i64 {
    let wait = so_store::waits::Wait {
        run: run.id,
        path: String::new(),
        workspace: world.workspace,
        kind: "test.echoed".parse().unwrap(),
        subject: None,
    };
    let mut reader = world.engine.store.clone();
    so_store::waits::count(&mut reader, &wait, 99)
        .await
        .unwrap()
}

#[tokio::test]
async fn a_call_amid_the_steps_is_one_try() {
    let world = started(
        "{id: a, action: test.call}, {id: b, action: test.echo}",
        json!({}),
    )
    .await;
    let memos = world.memos(&only(&world).await).await;
    let tries: Vec<_> = memos
        .iter()
        .map(|memo| (memo.path.as_str(), memo.attempt))
        .collect();
    assert_eq!(tries, [("/steps/0", 1), ("/steps/1", 1)]);
}

#[tokio::test]
async fn fewer_runs_may_wait_with_a_condition_than_without() {
    let most = crate::config::WAITS_WITH_CONDITION_MAX;
    let mut world = started(WAIT, json!({})).await;
    for _ in 0..most {
        world.event("test.happened", json!({})).await;
    }
    world.settle().await;
    let refused = world.runs().await.into_iter();
    let refused: Vec<_> = refused
        .filter(|run| run.state == RunState::Failed)
        .collect();
    assert_eq!(refused.len(), 1);
    let reason = refused[0].reason.clone().unwrap();
    assert!(
        reason.contains("200 runs wait") && reason.contains("subject"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_waiting_run_that_cannot_be_read_keeps_no_event_from_the_others() {
    let mut world = started(WAIT, json!({})).await;
    let broken = only(&world).await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let spoil = "UPDATE memos SET outcome = 'no such outcome'";
    so_store::Sql::run(&mut tx, spoil, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    world.event("test.happened", json!({})).await;
    world.settle().await;
    world.event("test.echoed", json!({"n": 7})).await;
    world.settle().await;
    let states: Vec<_> = world
        .runs()
        .await
        .into_iter()
        .map(|run| (run.id == broken.id, run.state))
        .collect();
    assert!(states.contains(&(true, RunState::Waiting)), "{states:?}");
    assert!(states.contains(&(false, RunState::Finished)), "{states:?}");
}

#[tokio::test]
async fn a_run_that_ends_waits_for_nothing_any_more() {
    let wait = "{id: w, wait_for: {event: test.echoed, timeout: 1h}}";
    let stop = "{id: s, stop: {reason: enough}}";
    let mut world = World::new().await;
    world
        .rule(&format!(
            "{{version: 1, name: S, triggers: [{{id: t, kind: test.happened}}], \
             steps: [{{id: p, parallel: [[{wait}], [{{id: d, delay: {{for: 1m}}}}, {stop}]]}}]}}"
        ))
        .await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    let run = only(&world).await;
    assert_eq!(waits(&world, &run).await, 1);
    world.pass(MINUTE).await;
    assert_eq!(only(&world).await.state, RunState::Finished);
    assert_eq!(waits(&world, &run).await, 0);
    // A later start in its place ends it, too.
    let mut world = World::new().await;
    world
        .rule(&format!(
            "{{version: 1, name: R, triggers: [{{id: t, kind: test.happened}}], mode: {{kind: restart}}, steps: [{wait}]}}"
        ))
        .await;
    for _ in 0..3 {
        world.event("test.happened", json!({})).await;
        world.settle().await;
    }
    let run = only(&world).await;
    assert_eq!(waits(&world, &run).await, 1);
}

async fn cancel(world: &World, run: &Run) -> RunState {
    let mut tx = world.engine.store.begin().await.unwrap();
    let now = world.engine.now();
    let state = super::cancel(&world.engine, &mut tx, run, now)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    state
}

#[tokio::test]
async fn a_run_is_cancelled_in_every_state_in_which_it_waits() {
    for steps in [
        "{id: d, delay: {for: 1h}}",
        "{id: c, action: test.call, retry: {tries: 3, first: 1h, cap: 1h}}",
        "{id: w, wait_for: {event: test.echoed, timeout: 1h}}",
        "{id: p, parallel: [[{id: d, delay: {for: 1h}}], [{id: w, wait_for: {event: test.echoed, timeout: 1h}}]]}",
    ] {
        let mut world = World::new().await;
        *world.remote_failures.lock().unwrap() = 1;
        let last = "{id: e, action: test.echo, with: {emit: test.cancelled_went_on}}";
        world
            .rule(&format!("{{version: 1, name: C, triggers: [{{id: t, kind: test.happened}}], mode: {{kind: queued}}, steps: [{steps}, {last}]}}"))
            .await;
        for _ in 0..2 {
            world.event("test.happened", json!({})).await;
            world.settle().await;
        }
        let runs = world.runs().await;
        assert_eq!(runs[1].state, RunState::Queued);
        // The one in the queue first, then the one it waits behind.
        assert_eq!(cancel(&world, &runs[1]).await, RunState::Cancelled);
        assert_eq!(
            cancel(&world, &runs[0]).await,
            RunState::Cancelled,
            "{steps}"
        );
        assert_eq!(waits(&world, &runs[0]).await, 0, "{steps}");
        world.crash_and_restart().await;
        world.event("test.echoed", json!({})).await;
        world.pass(HOUR).await;
        let states: Vec<_> = world.runs().await.iter().map(|run| run.state).collect();
        assert_eq!(states, [RunState::Cancelled; 2], "{steps}");
        let memos = world.memos(&runs[0]).await;
        assert!(memos.iter().all(|memo| memo.step != "e"), "{steps}");
    }
}

#[tokio::test]
async fn a_run_at_work_shows_the_wish_at_once_and_ends_before_its_next_step() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: C, triggers: [{id: t, kind: test.happened}], steps: [\
             {id: c, action: test.call}, {id: e, action: test.echo}]}",
        )
        .await;
    world.event("test.happened", json!({})).await;
    let run = only(&world).await;
    assert_eq!(run.state, RunState::Running);
    assert_eq!(cancel(&world, &run).await, RunState::Cancelling);
    assert_eq!(only(&world).await.state, RunState::Cancelling);
    world.crash_and_restart().await;
    // A wish of the very moment in which the run began is as if it came after its first call.
    world.clock.advance(2 * SECOND);
    world.settle().await;
    let run = only(&world).await;
    assert_eq!(run.state, RunState::Cancelled);
    assert!(world.memos(&run).await.is_empty());
    assert!(world.remote_calls.lock().unwrap().is_empty());
}
