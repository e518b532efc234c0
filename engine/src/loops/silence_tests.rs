use serde_json::json;
use so_model::{
    Timestamp,
    event::kind,
    rule::RuleDocument,
    run::Run,
    time::{DAY, HOUR, MINUTE},
};

use super::silence::silent_after;
use crate::testing::World;

fn document(silent_after: &str) -> RuleDocument {
    let text = format!(
        "{{version: 1, name: Watched, triggers: [{{id: t, kind: test.happened}}], \
         steps: [{{id: a, action: test.echo}}], silent_after: {silent_after}}}"
    );
    serde_yaml_ng::from_str(&text).unwrap()
}

/// Starts so long before a moment, newest first.
fn starts(ago: &[i64]) -> Vec<Timestamp> {
    let now = Timestamp::from_micros(1_780_000_000_000_000);
    ago.iter().map(|ago| now.plus(-ago)).collect()
}

#[test]
fn what_is_stated_holds_and_what_is_learned_is_thrice_the_longest_span() {
    assert_eq!(silent_after(&document("2d"), &[]), Some(2 * DAY));
    let learned = document("learned");
    let days = [0, DAY, 2 * DAY, 3 * DAY, 5 * DAY, 6 * DAY];
    assert_eq!(silent_after(&learned, &starts(&days)), Some(6 * DAY));
    assert_eq!(
        silent_after(&learned, &starts(&days[..5])),
        None,
        "four spans teach nothing"
    );
    let burst: Vec<i64> = (0..6).map(|n| n * MINUTE).collect();
    assert_eq!(silent_after(&learned, &starts(&burst)), Some(HOUR));
    let rare: Vec<i64> = (0..6).map(|n| n * 40 * DAY).collect();
    assert_eq!(silent_after(&learned, &starts(&rare)), Some(90 * DAY));
    // What lies further back is forgotten.
    let mut changed: Vec<i64> = (0..21).map(|n| n * HOUR).collect();
    changed.push(30 * DAY);
    assert_eq!(silent_after(&learned, &starts(&changed)), Some(3 * HOUR));
}

/// A watched rule, and one that is told of silence.
async fn world(silent_after: &str) -> World {
    let world = World::new().await;
    let watched = serde_json::to_string(&document(silent_after)).unwrap();
    world.rule(&watched).await;
    world
        .rule(
            "{version: 1, name: Alarm, triggers: [{id: t, kind: rule.silent}], \
             steps: [{id: a, action: test.echo, with: {\
             of: \"{{ event.data.rule.name }}\", last: \"{{ event.data.last_start }}\", \
             learned: \"{{ event.data.is_learned }}\", within: \"{{ event.data.expected_within_s }}\"}}]}",
        )
        .await;
    world
}

async fn later(world: &mut World, micros: i64) {
    world.clock.advance(micros);
    world.settle().await;
}

async fn alarms(world: &World) -> Vec<Run> {
    let mut alarms = Vec::new();
    for run in world.runs().await {
        let mut reader = world.engine.store.clone();
        let event = so_store::events::find(&mut reader, world.workspace, run.event).await;
        if event.unwrap().unwrap().kind == kind::RULE_SILENT {
            alarms.push(run);
        }
    }
    alarms
}

#[tokio::test]
async fn a_silence_is_told_once_and_the_next_one_again() {
    let mut world = world("2h").await;
    later(&mut world, HOUR).await;
    world.event("test.happened", json!({})).await;
    world.settle().await;
    later(&mut world, HOUR + 59 * MINUTE).await;
    assert!(
        alarms(&world).await.is_empty(),
        "it started within two hours"
    );
    later(&mut world, 2 * MINUTE).await;
    let told = alarms(&world).await;
    assert_eq!(told.len(), 1);
    let memos = world.memos(&told[0]).await;
    let output = &memos[0].output;
    assert_eq!(output["of"], "Watched");
    assert_eq!(
        (&output["learned"], &output["within"]),
        (&json!(false), &json!(7200))
    );
    world.crash_and_restart().await;
    for _ in 0..5 {
        later(&mut world, HOUR).await;
    }
    assert_eq!(alarms(&world).await.len(), 1, "one silence is one event");
    world.event("test.happened", json!({})).await;
    world.settle().await;
    for _ in 0..5 {
        later(&mut world, HOUR).await;
    }
    assert_eq!(alarms(&world).await.len(), 2);
}

#[tokio::test]
async fn a_rule_that_never_started_is_silent_too_and_one_that_is_off_is_not() {
    let mut world = world("2h").await;
    later(&mut world, 3 * HOUR).await;
    let told = alarms(&world).await;
    assert_eq!(told.len(), 1);
    assert_eq!(world.memos(&told[0]).await[0].output["last"], json!(null));

    let mut world = self::world("2h").await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let off = "UPDATE rules SET is_enabled = 0, generation = generation + 1 WHERE name = 'Watched'";
    so_store::Sql::run(&mut tx, off, vec![]).await.unwrap();
    tx.commit().await.unwrap();
    later(&mut world, 3 * HOUR).await;
    assert!(alarms(&world).await.is_empty());
}

#[tokio::test]
async fn a_learned_silence_needs_starts_to_learn_from() {
    let mut world = world("learned").await;
    for _ in 0..5 {
        world.event("test.happened", json!({})).await;
        later(&mut world, HOUR).await;
    }
    for _ in 0..12 {
        later(&mut world, HOUR).await;
    }
    assert!(alarms(&world).await.is_empty(), "four spans teach nothing");
    world.event("test.happened", json!({})).await;
    world.settle().await;
    // The longest span is 13 hours.
    for _ in 0..38 {
        later(&mut world, HOUR).await;
    }
    assert!(alarms(&world).await.is_empty());
    later(&mut world, 2 * HOUR).await;
    assert_eq!(alarms(&world).await.len(), 1);
}

#[tokio::test]
async fn what_is_learned_does_not_change_when_ordinary_runs_are_let_go() {
    let mut world = world("learned").await;
    // Twelve starts in a week, of which three are kept.
    for _ in 0..12 {
        world.event("test.happened", json!({})).await;
        later(&mut world, 12 * HOUR).await;
    }
    later(&mut world, 60 * DAY).await;
    let told = alarms(&world).await.len();
    assert!(told > 0);
    assert!(world.engine.prune().await.unwrap().let_go > 0);
    let rules = world.engine.index().of_workspace(world.workspace);
    let watched = rules.iter().find(|rule| rule.document.name == "Watched");
    let id = watched.unwrap().id;
    let mut reader = world.engine.store.clone();
    let starts = so_store::run_ways::latest_starts(&mut reader, world.workspace, id, 21).await;
    assert_eq!(
        silent_after(&document("learned"), &starts.unwrap()),
        Some(36 * HOUR)
    );
}
