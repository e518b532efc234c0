//! Owns the drills of a system clock that jumps: ten seconds, an hour, forwards and backwards, a
//! second that is repeated. What is counted are occurrences, runs and calls, not the engine's word.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use so_model::{
    IdSource as _, Timestamp,
    event::Event,
    id::{JobId, RuleId},
    run::RunState,
    time::{HOUR, MINUTE, SECOND},
};
use so_store::{events, jobs, rules, runs, timers};

use crate::{
    loops::{TIMER_POST, sync_rule_timers},
    testing::{START, World},
};

/// Jumps of one drill.
const JUMPS: usize = 1_000;
/// More rows than a drill can make.
const ALL: i64 = 100_000;

/// A linear congruence: all that is asked of it is to be the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = (self.0.wrapping_mul(6_364_136_223_846_793_005))
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    /// Mostly small steps on, as time does, and in every third one a jump.
    fn jump(&mut self) -> i64 {
        const JUMPS: [i64; 7] = [10 * SECOND, -10 * SECOND, HOUR, -HOUR, SECOND, -SECOND, -1];
        match self.below(3) {
            0 => JUMPS[usize::try_from(self.below(7)).unwrap()],
            _ => i64::try_from(self.below(90)).unwrap() * SECOND,
        }
    }
}

async fn rule(world: &World, name: &str, minute: u32, policy: &str) -> RuleId {
    let yaml = format!(
        "{{version: 1, name: {name}, triggers: [{{id: t, kind: time.cron, \
         with: {{expression: \"{minute}-59/15 * * * *\"}}, catch_up: {policy}}}], \
         steps: [{{id: call, action: test.call_once, with: {{rule: {name}}}}}]}}"
    );
    world.rule(&yaml).await
}

/// As a person does who saves a rule again: its timers are made anew from the present moment.
async fn save_again(world: &World, id: RuleId) {
    let mut tx = world.engine.store.begin().await.unwrap();
    let row = rules::find(&mut tx, world.workspace, id)
        .await
        .unwrap()
        .unwrap();
    let version = world
        .engine
        .rule_version(world.workspace, id, row.version)
        .await
        .unwrap()
        .unwrap();
    let now = world.engine.now();
    sync_rule_timers(
        &world.engine,
        &mut tx,
        &row,
        &version.document,
        "Europe/Berlin",
        now,
    )
    .await
    .unwrap();
    tx.commit().await.unwrap();
}

async fn all_events(world: &World, kind: &str) -> Vec<Event> {
    let mut store = world.engine.store.clone();
    events::list(&mut store, world.workspace, kind, "", "", ALL)
        .await
        .unwrap()
}

/// Occurrences by rule, each as often as there is an event of it.
fn occurrences(events: &[Event]) -> BTreeMap<String, Vec<Timestamp>> {
    let mut found: BTreeMap<String, Vec<Timestamp>> = BTreeMap::new();
    for event in events {
        let rule = event.data["rule"].as_str().unwrap().to_owned();
        let at = event.data["occurrence"]["at"].as_str().unwrap();
        found
            .entry(rule)
            .or_default()
            .push(Timestamp::parse(at).unwrap());
    }
    found
}

#[tokio::test]
async fn a_thousand_jumps_of_the_clock_double_nothing_and_lose_nothing() {
    let mut world = World::new().await;
    let late = rule(&world, "Late", 0, "{policy: late, within: 3d}").await;
    let once = rule(&world, "Once", 1, "{policy: once}").await;
    let skip = rule(&world, "Skip", 2, "{policy: skip}").await;
    let ask = rule(&world, "Ask", 3, "{policy: ask}").await;
    let mut dice = Dice(20_261_125);
    let (mut furthest, mut earliest) = (START, START);
    for n in 0..JUMPS {
        world.clock.advance(dice.jump());
        world.settle().await;
        furthest = furthest.max(world.engine.now());
        if n % 50 == 49 {
            // Saved at an earlier moment, a schedule begins at that moment.
            earliest = earliest.min(world.engine.now());
            for id in [late, once, skip, ask] {
                save_again(&world, id).await;
            }
        }
    }

    let due = all_events(&world, "time.due").await;
    let by_rule = occurrences(&due);
    assert_eq!(by_rule.len(), 4);
    for (rule, all) in &by_rule {
        let distinct: BTreeSet<Timestamp> = all.iter().copied().collect();
        assert_eq!(distinct.len(), all.len(), "{rule} has an occurrence twice");
    }
    // Whoever asks for all of them gets all of them: every quarter between the two moments.
    let quarter = |at: Timestamp| at.micros().div_euclid(15 * MINUTE);
    let wanted = quarter(furthest) - quarter(earliest);
    let got = &by_rule[&late.to_string()];
    assert_eq!(
        i64::try_from(got.len()).unwrap(),
        wanted,
        "until {furthest}"
    );
    assert!(wanted > 40, "the clock came no further than {furthest}");

    let mut store = world.engine.store.clone();
    let all = runs::list(
        &mut store,
        world.workspace,
        &runs::RunFilter::default(),
        ALL,
    )
    .await
    .unwrap();
    assert!(all.iter().all(|run| run.state == RunState::Finished));
    let starters: BTreeSet<String> = all.iter().map(|run| run.event.to_string()).collect();
    assert_eq!(starters.len(), all.len(), "one event started two runs");
    assert_eq!(all.len(), due.len());
    let calls = world.remote_calls.lock().unwrap().clone();
    let keys: BTreeSet<&String> = calls.iter().collect();
    assert_eq!(
        (calls.len(), keys.len()),
        (all.len(), all.len()),
        "a call was made twice"
    );
}

#[tokio::test]
async fn a_post_is_due_once_however_the_clock_jumps() {
    let mut world = World::new().await;
    let mut dice = Dice(42);
    let mut posts = Vec::new();
    for n in 0..60 {
        let due = START.plus(n * 11 * MINUTE);
        let content = serde_json::from_value(json!({"text": format!("post {n}")})).unwrap();
        let id = world.post(content, Some(due)).await;
        let mut tx = world.engine.store.begin().await.unwrap();
        let timer = timers::Timer {
            id: world.engine.ids.new_id(),
            workspace: world.workspace,
            kind: TIMER_POST.into(),
            subject: id.to_string(),
            slot: String::new(),
            generation: 1,
            due_at: due,
            doc: Value::Null,
        };
        timers::put(&mut tx, &timer).await.unwrap();
        tx.commit().await.unwrap();
        posts.push((id.to_string(), due));
    }
    for _ in 0..JUMPS {
        world.clock.advance(dice.jump());
        world.settle().await;
    }
    let furthest = world.engine.now().plus(12 * HOUR);
    world.clock.set(furthest);
    world.settle().await;
    let mut due = BTreeMap::new();
    for event in all_events(&world, "post.due").await {
        *due.entry(event.subject.unwrap()).or_insert(0) += 1;
    }
    for (post, at) in posts.iter().filter(|(_, at)| *at <= furthest) {
        assert_eq!(due.get(post), Some(&1), "{post} due at {at}");
    }
}

/// Within one process: what is being worked on is prolonged before anything is freed.
#[tokio::test]
async fn a_jump_takes_no_work_from_a_worker_that_is_at_it() {
    let world = World::new().await;
    let mut dice = Dice(7);
    let mut open: BTreeMap<JobId, Vec<jobs::Job>> = BTreeMap::new();
    let mut claims = BTreeSet::new();
    for n in 0..JUMPS {
        if n % 100 == 0 {
            let mut tx = world.engine.store.begin().await.unwrap();
            let id = world.engine.ids.new_id();
            let now = world.engine.now();
            jobs::wake(
                &mut tx,
                id,
                world.workspace,
                "run",
                &format!("run_{n}"),
                now,
            )
            .await
            .unwrap();
            tx.commit().await.unwrap();
        }
        for handed in world.engine.claim_jobs(64).await.unwrap() {
            assert!(claims.insert((handed.job.id, handed.job.epoch)));
            // Never let go: the worker is at it until the end.
            std::mem::forget(world.engine.hold_lease(&handed.job));
            open.entry(handed.job.id).or_default().push(handed.job);
        }
        world.clock.advance(dice.jump());
        world.engine.renew_leases(world.engine.now()).await.unwrap();
    }
    assert_eq!(open.len(), JUMPS / 100);
    for (id, jobs) in open {
        assert_eq!(jobs.len(), 1, "{id} was claimed twice");
    }
}

#[tokio::test]
async fn an_occurrence_that_a_newer_zone_database_moved_forward_is_not_lost() {
    let mut world = World::new().await;
    let id = world
        .rule(
            "{version: 1, name: Daily, triggers: [{id: t, kind: time.cron, \
             with: {expression: \"0 9 * * *\"}, catch_up: {policy: late, within: 3h}}], \
             steps: [{id: call, action: test.call_once}]}",
        )
        .await;
    let day = 24 * HOUR;
    world.clock.advance(day);
    world.settle().await;
    assert_eq!(all_events(&world, "time.due").await.len(), 1);

    // The timer was stored by a program whose database had these clocks an hour behind.
    let mut tx = world.engine.store.begin().await.unwrap();
    let subject = id.to_string();
    let kept = timers::list_for(&mut tx, world.workspace, "rule", &subject)
        .await
        .unwrap();
    let mut timer = kept.into_iter().next().unwrap();
    let due = timer.due_at;
    timer.due_at = due.plus(HOUR);
    timers::put(&mut tx, &timer).await.unwrap();
    tx.commit().await.unwrap();
    world.clock.set(due.plus(HOUR));
    world.settle().await;

    let due_events = all_events(&world, "time.due").await;
    assert_eq!(due_events.len(), 2);
    assert!(due_events.iter().any(|event| event.time == due));
    world.clock.advance(day - HOUR);
    world.settle().await;
    assert_eq!(all_events(&world, "time.due").await.len(), 3);
}
