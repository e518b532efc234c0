//! Simulation and live agree: a day that a real engine has lived through, played anew from its recorded events, has the
//! same effects byte for byte.

use std::collections::BTreeMap;

use serde_json::json;
use so_model::{
    event::NewEvent,
    run::Run,
    simulation::{SimulatedEnd, SimulatedStart, Simulation},
    time::{DAY, HOUR, MINUTE, SECOND},
};

use super::{Ask, real, simulate};
use crate::{
    run::random_tests::Author,
    testing::{START, World},
};

/// Worlds of random rules.
const WORLDS: u64 = 4;
/// Random rules in each.
const RANDOM: usize = 6;
/// Runs of a day are fewer.
const RUNS_MAX: i64 = 10_000;

/// Rules with gates, modes, waits, schedules and failures that are stood in for.
const RULES: [&str; 9] = [
    "{version: 1, name: throttled, triggers: [{id: t, kind: test.echoed}], throttle: {max: 2, per: 3h, key: '{{ event.data.n }}'},
      steps: [{id: a, action: test.echo, with: {n: '{{ event.data.n }}'}}]}",
    "{version: 1, name: once, triggers: [{id: t, kind: test.echoed}], dedupe: {key: '{{ event.data.n }}', within: 5h},
      steps: [{id: a, action: test.echo, with: {n: '{{ event.data.n }}', emit: test.out}}]}",
    "{version: 1, name: quiet, triggers: [{id: t, kind: test.echoed}], debounce: {for: 40m, key: '{{ event.data.n }}'},
      steps: [{id: a, action: test.echo, with: {n: '{{ event.data.n }}'}}]}",
    "{version: 1, name: single, triggers: [{id: t, kind: test.echoed}], mode: {kind: single},
      steps: [{id: w, delay: {for: 65m}}, {id: a, action: test.call, with: {n: '{{ event.data.n }}'}}]}",
    "{version: 1, name: queued, triggers: [{id: t, kind: test.echoed}], mode: {kind: queued, max: 2},
      steps: [{id: w, delay: {for: 50m}}, {id: a, action: test.echo, with: {n: '{{ event.data.n }}'}}]}",
    "{version: 1, name: restarted, triggers: [{id: t, kind: test.echoed}], mode: {kind: restart},
      steps: [{id: w, delay: {for: 35m}}, {id: a, action: test.echo, with: {n: '{{ event.data.n }}'}}]}",
    "{version: 1, name: hourly, triggers: [{id: t, kind: time.cron, with: {expression: '7 * * * *'}}], limits: {max_runs_per_hour: 1},
      steps: [{id: c, choose: [{if: {time: {weekdays: [mon], from: '09:00', to: '15:00'}}, then: [{id: a, action: test.call, with: {at: '{{ event.data.occurrence.local }}'}}]}],
               otherwise: [{id: b, action: test.echo, with: {late: true}}]}]}",
    "{version: 1, name: failing, triggers: [{id: t, kind: test.out}], steps: [{id: a, action: test.echo, with: {fail: true},
      on_error: [{id: b, action: test.echo, with: {why: '{{ steps.a.error.message }}'}}]}, {id: c, action: test.echo, with: {fail: true}}]}",
    "{version: 1, name: loud, triggers: [{id: t, kind: run.failed}], throttle: {max: 3, per: 1h}, steps: [{id: a, action: test.echo, with: {why: '{{ event.data.run.reason }}'}}]}",
];

/// A day in a world: events, some close together, and all that follows.
async fn lived(seed: u64) -> World {
    let mut world = World::new().await;
    let mut author = Author::new(seed);
    for number in 0..RANDOM {
        world.rule(&author.rule(number)).await;
    }
    for rule in RULES {
        world.rule(rule).await;
    }
    let mut minute = 0;
    for tick in 0..40_i64 {
        let wait = [11, 37, 5, 61, 3][usize::try_from(tick).unwrap() % 5];
        for _ in 0..wait {
            minute += 1;
            // Spans are whole minutes or thirty seconds, so nothing is due at any other moment.
            for seconds in [-13, 0, 17] {
                let at = minute * MINUTE + seconds * SECOND;
                world.clock.set(START.plus(at));
                world.settle().await;
            }
        }
        let data = json!({"n": tick % 4, "who": if tick % 2 == 0 { "ann" } else { "bob" }});
        let kind = if tick % 8 == 0 {
            "test.happened"
        } else {
            "test.echoed"
        };
        let event = NewEvent::new(world.workspace, kind, data);
        let event = event.about("ann").from_source("outside", tick.to_string());
        world.engine.ingest(event).await.unwrap();
        world.settle().await;
    }
    world
}

async fn simulated(world: &World) -> Simulation {
    let engine = &world.engine;
    let ask = Ask {
        workspace: world.workspace,
        from: START,
        until: engine.now().plus(SECOND),
        kinds: Vec::new(),
        drafts: Vec::new(),
        without: Vec::new(),
        events_max: super::EVENTS_MAX,
    };
    simulate(engine, &engine.scripts, &ask).await.unwrap()
}

/// The starts as the database holds them, in the form of the simulation.
async fn really(world: &World) -> Vec<SimulatedStart> {
    let mut reader = world.engine.store.clone();
    let filter = so_store::runs::RunFilter::default();
    let found = so_store::runs::list(&mut reader, world.workspace, &filter, RUNS_MAX).await;
    let mut starts = Vec::new();
    for run in found.unwrap() {
        let memos = world.memos(&run).await;
        let event = so_store::events::find(&mut reader, world.workspace, run.event).await;
        let rule = world.engine.index().get(run.rule).unwrap().clone();
        let effects = real::effects(memos.iter(), |memo| {
            super::runs::action_of(&rule.document, &memo.step).unwrap_or_default()
        });
        starts.push(start(run, event.unwrap().unwrap().kind, effects));
    }
    starts
}

fn start(
    run: Run,
    event_kind: String,
    effects: Vec<so_model::simulation::SimulatedEffect>,
) -> SimulatedStart {
    let end = SimulatedEnd::of(run.state);
    // What a run waits for is not an end.
    let is_over = run.state.is_over();
    SimulatedStart {
        rule: run.rule,
        trigger: run.trigger,
        event: run.event,
        event_kind,
        at: run.created_at,
        end,
        reason: run.reason.filter(|reason| is_over && !reason.is_empty()),
        assumed: Vec::new(),
        effects,
    }
}

/// Each start as a text, by its rule and event.
fn texts(starts: &[SimulatedStart]) -> BTreeMap<String, String> {
    let texts = starts.iter().map(|start| {
        let place = format!("{} {}", start.rule, start.event);
        (place, serde_json::to_string(start).unwrap())
    });
    texts.collect()
}

#[tokio::test]
async fn a_day_that_was_lived_and_is_simulated_has_the_same_effects_byte_for_byte() {
    let (mut effects, mut kinds) = (0, BTreeMap::<String, usize>::new());
    for seed in 0..WORLDS {
        let world = lived(seed).await;
        assert!(world.engine.now() < START.plus(DAY) && world.engine.now() > START.plus(12 * HOUR));
        let told = simulated(&world).await;
        let live = really(&world).await;
        let (was, is) = (texts(&live), texts(&told.starts));
        for (place, text) in &was {
            let name = |start: &&SimulatedStart| place.starts_with(&start.rule.to_string());
            let rule = live.iter().find(name).unwrap().rule;
            let rule = world.engine.index().get(rule).unwrap().clone();
            assert_eq!(
                is.get(place),
                Some(text),
                "world {seed}, {:#?}",
                rule.document.name
            );
        }
        assert_eq!(was.len(), is.len(), "world {seed}");
        assert_eq!(told.differences, [], "world {seed}");
        assert_eq!(
            (told.left_out, told.made, told.unknowns.len()),
            (0, 0, 0),
            "world {seed}"
        );
        for start in &told.starts {
            effects += start.effects.len();
            *kinds.entry(format!("{:?}", start.end)).or_default() += 1;
        }
    }
    // Or nothing was compared.
    assert!(effects > 500, "{effects} effects");
    assert!(
        kinds["Finished"] > 50 && kinds["Failed"] > 10 && kinds["Cancelled"] > 5,
        "{kinds:?}"
    );
}
