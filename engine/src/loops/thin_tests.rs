//! What is let go, what stays, and what is known afterwards.

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::Event,
    id::{EventId, RuleId},
    run::{Run, RunState},
    time::{DAY, HOUR, SECOND},
    way::way_name,
    why::WhyOutcome,
};
use so_store::{
    events,
    run_ways::{self, WayRow},
    runs,
};

use crate::{config::EngineConfig, testing::World};

const DULL: &str = "
version: 1
name: Dull
triggers: [{id: t, kind: test.happened}]
steps:
  - id: rare
    if: {field: event.data.n, op: gt, value: 100}
    then: [{id: a, action: test.echo}]
  - {id: end, action: test.echo, with: {fail: \"{{ event.data.fail == true }}\"}}
";

async fn happen(world: &mut World, mut data: Value) -> Event {
    if data["fail"].is_null() {
        data["fail"] = json!(false);
    }
    let event = world.event("test.happened", data).await;
    world.settle().await;
    event
}

/// Moves the clock to the begin of a week, so that what follows lies in one.
async fn new_week(world: &mut World) {
    let now = world.engine.now().micros();
    world.clock.advance(7 * DAY - now.rem_euclid(7 * DAY));
    world.settle().await;
}

async fn ways(world: &World, rule: RuleId) -> Vec<WayRow> {
    let mut reader = world.engine.store.clone();
    run_ways::list(&mut reader, world.workspace, rule, 100)
        .await
        .unwrap()
}

async fn run_of(world: &World, event: EventId) -> Option<Run> {
    let all = world.runs().await;
    all.into_iter().find(|run| run.event == event)
}

#[tokio::test]
async fn the_first_ordinary_runs_of_a_week_stay_and_the_others_go() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    new_week(&mut world).await;
    let mut sent = Vec::new();
    for n in 0..8 {
        sent.push(happen(&mut world, json!({"n": n})).await);
        world.clock.advance(SECOND);
    }
    let rare = happen(&mut world, json!({"n": 101})).await;
    world.clock.advance(7 * DAY);
    let later = happen(&mut world, json!({"n": 1})).await;
    let all = world.runs().await;
    assert!(all.iter().all(|run| run.state == RunState::Finished));

    world.clock.advance(37 * DAY);
    let pruned = world.engine.prune().await.unwrap();
    let nothing = super::Pruned {
        is_whole: true,
        ..super::Pruned::default()
    };
    assert_eq!(pruned, nothing, "not old enough");
    world.clock.advance(9 * DAY);
    let pruned = world.engine.prune().await.unwrap();
    assert_eq!((pruned.let_go, pruned.runs, pruned.events), (5, 0, 0));
    let kept: Vec<EventId> = world.runs().await.iter().map(|run| run.event).collect();
    let expected = [sent[0].id, sent[1].id, sent[2].id, rare.id, later.id];
    assert_eq!(kept, expected);

    let found = ways(&world, rule).await;
    let told: Vec<_> = found.iter().map(|way| (way.seen, way.let_go)).collect();
    assert_eq!(told, [(9, 5), (1, 0)]);
    let usual = &found[0];
    assert_eq!(usual.let_go_at, Some(all[7].created_at));
    assert_eq!(usual.first_at, all[0].created_at);
    assert_eq!(usual.last_at, all[9].created_at);
    let named = [all[0].id, all[1].id, all[2].id, all[9].id];
    assert_eq!(usual.kept, named);
    let memos = runs::list_memos_of(&mut world.engine.store.clone(), &[all[5].id]).await;
    assert_eq!(memos.unwrap(), [], "memos go with their run");
    // Every event is still there, and says what it started.
    let mut reader = world.engine.store.clone();
    let both = [sent[5].id, sent[0].id];
    let starts = run_ways::starts_on(&mut reader, world.workspace, &both).await;
    let starts = starts.unwrap();
    assert_eq!(starts.len(), 1);
    let start = &starts[0];
    assert_eq!(
        (start.event, start.rule, start.version),
        (sent[5].id, rule, 1)
    );
    assert_eq!(start.at, all[5].created_at);
    assert_eq!(start.way, way_name(usual.way));

    let again = world.engine.prune().await.unwrap();
    assert_eq!(again.let_go, 0, "nothing is counted twice");
    assert_eq!(ways(&world, rule).await, found);
    world.clock.advance(60 * DAY);
    let pruned = world.engine.prune().await.unwrap();
    assert_eq!((pruned.let_go, pruned.runs), (0, 5));
    assert!(pruned.events >= 10);
    let mut reader = world.engine.store.clone();
    let starts = run_ways::starts_on(&mut reader, world.workspace, &[sent[5].id]).await;
    assert_eq!(starts.unwrap(), [], "what is left goes with the event");
    assert_eq!(ways(&world, rule).await, found, "counts stay");
    world.clock.advance(400 * DAY);
    world.engine.prune().await.unwrap();
    assert!(ways(&world, rule).await.is_empty());
}

#[tokio::test]
async fn failures_stay_and_runs_that_are_not_over_are_never_touched() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    let waits = world
        .rule(
            "{version: 1, name: Waits, triggers: [{id: t, kind: test.happened}], \
             steps: [{id: a, action: test.echo, with: {emit: test.echoed}}, {id: b, delay: {for: 200d}}]}",
        )
        .await;
    let heard = world
        .rule(
            "{version: 1, name: Heard, triggers: [{id: t, kind: test.echoed}], \
             steps: [{id: a, action: test.echo}]}",
        )
        .await;
    new_week(&mut world).await;
    for _ in 0..6 {
        happen(&mut world, json!({"n": 1, "fail": true})).await;
    }
    let before = world.runs().await;
    world.clock.advance(46 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 0);
    let count = |runs: &[Run], rule: RuleId, state: RunState| {
        let is = |run: &&Run| run.rule == rule && run.state == state;
        runs.iter().filter(is).count()
    };
    let after = world.runs().await;
    assert_eq!(after, before);
    assert_eq!(count(&after, rule, RunState::Failed), 6);
    assert_eq!(count(&after, waits, RunState::Waiting), 6);
    // What they made is a consequence of a run that is not over.
    assert_eq!(count(&after, heard, RunState::Finished), 6);
    assert_eq!(ways(&world, heard).await[0].seen, 6);
    assert!(ways(&world, rule).await.is_empty());
}

#[tokio::test]
async fn a_parent_stays_while_what_it_started_is_not_over() {
    let mut world = World::new().await;
    let parent = world
        .rule(
            "{version: 1, name: Parent, triggers: [{id: t, kind: test.happened}], \
             steps: [{id: a, action: test.echo, with: {emit: test.echoed}}]}",
        )
        .await;
    world
        .rule(
            "{version: 1, name: Child, triggers: [{id: t, kind: test.echoed}], \
             steps: [{id: b, delay: {for: 200d}}]}",
        )
        .await;
    for _ in 0..6 {
        happen(&mut world, json!({})).await;
    }
    world.clock.advance(46 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 0);
    assert_eq!(ways(&world, parent).await[0].seen, 6);
    assert_eq!(world.runs().await.len(), 12);
}

#[tokio::test]
async fn a_run_that_published_stays() {
    let mut world = World::new().await;
    world
        .rule(
            "{version: 1, name: Publishes, triggers: [{id: t, kind: test.happened}], \
             steps: [{id: a, action: post.publish, with: {post: \"{{ event.data.post }}\"}}]}",
        )
        .await;
    new_week(&mut world).await;
    for n in 0..5 {
        let content = so_model::content::Content::status(format!("text {n}"));
        let post = world.post(content, None).await;
        happen(&mut world, json!({"post": post})).await;
        world.pass(60 * SECOND).await;
    }
    let all = world.runs().await;
    assert!(all.iter().all(|run| run.state == RunState::Finished));
    world.clock.advance(46 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 0);
    assert_eq!(world.runs().await, all);
}

#[tokio::test]
async fn a_rule_whose_runs_all_differ_keeps_few_of_them() {
    let mut world = World::new().await;
    // Eight branches are 256 ways, more than are told apart.
    let mut steps = String::new();
    for bit in 0..8 {
        steps.push_str(&format!(
            "{{id: s{bit}, if: {{expr: \"event.data.n / {} % 2 == 1\"}}, then: []}}, ",
            1 << bit
        ));
    }
    let rule = world
        .rule(&format!(
            "{{version: 1, name: Differs, triggers: [{{id: t, kind: test.happened}}], steps: [{steps}]}}"
        ))
        .await;
    new_week(&mut world).await;
    for n in 0..256 {
        happen(&mut world, json!({"n": n})).await;
    }
    world.clock.advance(60 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 53);
    let mut reader = world.engine.store.clone();
    let all = run_ways::list(&mut reader, world.workspace, rule, 1_000).await;
    let all = all.unwrap();
    assert_eq!(all.len(), 201);
    let rest: Vec<_> = all.iter().filter(|way| way.steps.is_none()).collect();
    assert_eq!(rest.len(), 1);
    assert_eq!((rest[0].seen, rest[0].let_go), (56, 53));
}

#[tokio::test]
async fn what_counts_runs_counts_those_that_are_gone() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    new_week(&mut world).await;
    let mut last = None;
    for _ in 0..10 {
        last = Some(happen(&mut world, json!({"n": 1})).await);
        world.clock.advance(HOUR);
    }
    let from = world.engine.now().plus(-12 * HOUR);
    let until = world.engine.now();
    let starts = async |world: &World| -> Vec<Timestamp> {
        let mut reader = world.engine.store.clone();
        run_ways::latest_starts(&mut reader, world.workspace, rule, 8)
            .await
            .unwrap()
    };
    let fact = async |world: &World, hours: i64| {
        let (mut reader, now) = (world.engine.store.clone(), world.engine.now());
        let of = json!({"hours": hours});
        crate::facts::fetch(&mut reader, world.workspace, rule, "rule_runs", &of, now)
            .await
            .unwrap()
    };
    let before = starts(&world).await;
    world.clock.advance(50 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 7);
    assert_eq!(starts(&world).await, before);
    assert_eq!(fact(&world, 60 * 24).await, json!(10));
    assert_eq!(fact(&world, 24).await, json!(0));
    let span = world.engine.why_span(world.workspace, rule, from, until);
    let span = span.await.unwrap().unwrap();
    assert_eq!(span.text, "It started 10 times in this span.");
    let last = last.unwrap();
    assert_eq!(run_of(&world, last.id).await, None);
    let why = world.engine.why(world.workspace, last.id, rule);
    let why = why.await.unwrap().unwrap();
    assert_eq!((why.outcome, why.run), (WhyOutcome::Started, None));
    assert_eq!((why.version, why.trigger.as_deref()), (Some(1), Some("t")));
    assert!(why.text.contains("was let go"), "{}", why.text);
}

#[tokio::test]
async fn a_run_that_cannot_be_read_is_passed_by() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    new_week(&mut world).await;
    for _ in 0..6 {
        happen(&mut world, json!({"n": 1})).await;
    }
    let odd = world.runs().await[4].id;
    let mut tx = world.engine.store.begin().await.unwrap();
    let broken = "UPDATE memos SET doc = '{' WHERE run_id = $1";
    so_store::Sql::run(&mut tx, broken, so_store::args![odd])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(46 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 2);
    assert!(world.runs().await.iter().any(|run| run.id == odd));
    assert_eq!(ways(&world, rule).await[0].seen, 5);
}

#[tokio::test]
async fn a_run_whose_event_is_gone_is_let_go_without_a_trace() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    new_week(&mut world).await;
    for _ in 0..4 {
        happen(&mut world, json!({"n": 1})).await;
    }
    let last = world.runs().await[3].event;
    let mut tx = world.engine.store.begin().await.unwrap();
    so_store::Sql::run(
        &mut tx,
        "DELETE FROM events WHERE id = $1",
        so_store::args![last],
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
    world.clock.advance(46 * DAY);
    assert_eq!(world.engine.prune().await.unwrap().let_go, 1);
    assert_eq!(ways(&world, rule).await[0].let_go, 1);
    let found = events::find(&mut world.engine.store.clone(), world.workspace, last).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn a_walk_that_is_lost_before_its_commit_is_made_again() {
    let mut world = World::new().await;
    let rule = world.rule(DULL).await;
    new_week(&mut world).await;
    for _ in 0..8 {
        happen(&mut world, json!({"n": 1})).await;
    }
    let all = world.runs().await;
    world.clock.advance(46 * DAY);
    let before = world.engine.now().plus(-45 * DAY);
    let mut tx = world.engine.store.begin().await.unwrap();
    let step = super::thin::step(&mut tx, before).await.unwrap().unwrap();
    assert_eq!((step.gone, step.is_end), (5, true));
    drop(tx);
    world.crash_and_restart().await;
    assert_eq!(world.runs().await, all);
    assert!(ways(&world, rule).await.is_empty());
    assert_eq!(world.engine.prune().await.unwrap().let_go, 5);
    let way = &ways(&world, rule).await[0];
    assert_eq!((way.seen, way.let_go), (8, 5));
}

#[test]
fn ordinary_runs_are_kept_like_others_unless_their_span_is_shorter() {
    let span = |dull: i64, others: i64| {
        let config = EngineConfig {
            dull_retention: dull * DAY,
            retention: others * DAY,
            ..EngineConfig::new("test")
        };
        config.dull_span()
    };
    assert_eq!(span(45, 90), Some(45 * DAY));
    assert_eq!(span(45, 45), None);
    assert_eq!(span(45, 30), None);
}
