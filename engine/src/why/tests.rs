//! Questions after the fact: candidates, those that were none, spans and posts.

use serde_json::json;
use so_model::{
    IdSource as _,
    event::NewEvent,
    id::{EventId, RuleId},
    time::{HOUR, MINUTE},
    why::{ClauseKind, Why, WhyOutcome},
};
use so_store::rules;

use crate::testing::{START, World};

async fn why(world: &World, event: EventId, rule: RuleId) -> Why {
    let answer = world.engine.why(world.workspace, event, rule).await;
    answer.unwrap().unwrap()
}

const LIKED: &str = "
version: 1
name: Liked
triggers: [{id: t, kind: test.happened}]
if: {all: [{field: event.data.likes, op: ge, value: 100}, {fact: rule_runs, op: lt, value: 5}]}
steps: [{id: a, action: test.echo}]
";

#[tokio::test]
async fn a_refusal_is_explained_with_its_distance_from_the_pinned_version() {
    let world = World::new().await;
    let rule = world.rule(LIKED).await;
    let event = world.event("test.happened", json!({"likes": 87})).await;
    // Edited since: the answer stays with the version that decided.
    switch(&world, rule, true, Some("name: Other\n")).await;
    let why = why(&world, event.id, rule).await;
    assert_eq!((why.outcome, why.version), (WhyOutcome::Refused, Some(1)));
    assert_eq!(
        why.text,
        "It did not start: likes is 87, wanted at least 100: 13 short."
    );
    let first = why.first().unwrap();
    assert_eq!(
        (first.path.as_str(), &first.actual),
        ("/if/all/0", &json!(87))
    );
    assert_eq!(first.distance.as_ref().unwrap().by, Some(13.0));
    let condition = why
        .clauses
        .iter()
        .find(|clause| clause.what == ClauseKind::All)
        .unwrap();
    assert_eq!(
        condition.parts[1].held,
        Some(true),
        "the fact was recorded, so the clause that no longer mattered is known: {condition:#?}"
    );
}

#[tokio::test]
async fn a_start_is_explained_too() {
    let world = World::new().await;
    let rule = world.rule(LIKED).await;
    let event = world.event("test.happened", json!({"likes": 187})).await;
    let why = why(&world, event.id, rule).await;
    assert_eq!((why.outcome, why.first()), (WhyOutcome::Started, None));
    assert_eq!(why.run, Some(world.runs().await[0].id));
    assert!(
        why.clauses.iter().all(|clause| clause.held == Some(true)),
        "{why:#?}"
    );
}

#[tokio::test]
async fn whoever_was_no_candidate_is_told_why() {
    let world = World::new().await;
    let early = world.event("test.happened", json!({})).await;
    world.clock.advance(12 * MINUTE);
    let rule = world.rule(LIKED).await;
    let told = why(&world, early.id, rule).await;
    assert_eq!(told.outcome, WhyOutcome::NotCandidate);
    assert!(
        told.text
            .contains("did not exist yet (saved 12 minutes later)"),
        "{}",
        told.text
    );

    let other = world.event("test.echoed", json!({})).await;
    let told = why(&world, other.id, rule).await;
    assert!(
        told.text
            .contains("the event is test.echoed, this trigger listens to test.happened"),
        "{}",
        told.text
    );

    world.clock.advance(MINUTE);
    switch(&world, rule, false, None).await;
    world.clock.advance(MINUTE);
    let unheard = world.event("test.happened", json!({"likes": 500})).await;
    world.clock.advance(MINUTE);
    switch(&world, rule, true, None).await;
    let told = why(&world, unheard.id, rule).await;
    assert_eq!(told.outcome, WhyOutcome::NotCandidate);
    assert!(
        told.text
            .contains("the rule was off, since 2026-06-01 10:13"),
        "{}",
        told.text
    );
    assert_eq!(told.first().unwrap().what, ClauseKind::Enabled);
}

#[tokio::test]
async fn throttle_dedupe_and_mode_say_when_and_which() {
    let world = World::new().await;
    let throttled = world
        .rule(
            "
version: 1
name: Throttled
triggers: [{id: t, kind: test.happened}]
throttle: {max: 2, per: 10m}
dedupe: {key: '{{ event.data.key }}'}
mode: {kind: single}
steps: [{id: a, delay: {for: 1h}}]
",
        )
        .await;
    let first = world.event("test.happened", json!({"key": "a"})).await;
    let told = why(&world, first.id, throttled).await;
    assert_eq!(told.outcome, WhyOutcome::Started);
    world.clock.advance(MINUTE);
    let same = world.event("test.happened", json!({"key": "a"})).await;
    let told = why(&world, same.id, throttled).await;
    let clause = told.first().unwrap();
    assert_eq!(clause.what, ClauseKind::Dedupe);
    assert!(
        told.text.contains(&format!(
            "seen at 2026-06-01 10:00 Europe/Berlin ({})",
            first.id
        )),
        "{}",
        told.text
    );
    let third = world.event("test.happened", json!({"key": "b"})).await;
    let told = why(&world, third.id, throttled).await;
    assert_eq!(told.first().unwrap().what, ClauseKind::Throttle);
    assert!(
        told.text
            .contains("2 of 2 in 10m, free again at 2026-06-01 10:10 Europe/Berlin"),
        "{}",
        told.text
    );
    world.clock.advance(11 * MINUTE);
    let fourth = world.event("test.happened", json!({"key": "c"})).await;
    let told = why(&world, fourth.id, throttled).await;
    assert_eq!(told.first().unwrap().what, ClauseKind::Mode);
    assert!(
        told.text.contains(&world.runs().await[0].id.to_string()),
        "{}",
        told.text
    );
}

#[tokio::test]
async fn a_span_says_what_came_and_what_kept_it_from_starting() {
    let world = World::new().await;
    let rule = world.rule(LIKED).await;
    world.clock.advance(MINUTE);
    let from = world.engine.now();
    for likes in [10, 10, 20] {
        world.event("test.happened", json!({"likes": likes})).await;
        world.event("test.echoed", json!({})).await;
    }
    world.clock.advance(MINUTE);
    let until = world.engine.now();
    let span = world
        .engine
        .why_span(world.workspace, rule, from, until)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(span.events.len(), 3, "only what it listens to: {span:#?}");
    assert!(
        span.text.contains(
            "none of 3 events; 3 were tried. Mostly: likes is 10, wanted at least 100 (2 times)"
        ),
        "{}",
        span.text
    );
    let before = world
        .engine
        .why_span(world.workspace, rule, START.plus(-HOUR), START.plus(-1))
        .await;
    assert!(before.unwrap().unwrap().text.contains("did not exist yet"));
    let backwards = world
        .engine
        .why_span(world.workspace, rule, until, from)
        .await;
    assert!(backwards.unwrap().is_err());
}

#[tokio::test]
async fn a_schedule_says_its_last_and_next_moment() {
    let world = World::new().await;
    let rule = world
        .rule("{version: 1, name: Daily, triggers: [{id: t, kind: time.cron, with: {expression: '0 9 * * *'}}], steps: [{id: a, action: test.echo}]}")
        .await;
    let (from, until) = (START.plus(MINUTE), START.plus(HOUR));
    world.clock.advance(2 * HOUR);
    let span = world
        .engine
        .why_span(world.workspace, rule, from, until)
        .await
        .unwrap()
        .unwrap();
    let schedule = &span.schedules[0];
    assert!(schedule.within.is_empty());
    assert!(
        span.text.contains(
            "the last before was 2026-06-01 09:00 Europe/Berlin, the next is 2026-06-02 09:00"
        ),
        "{}",
        span.text
    );
}

#[tokio::test]
async fn a_post_is_asked_about_over_everything_that_happened_to_it() {
    let world = World::new().await;
    let rule = world.rule(LIKED).await;
    let post = world.engine.ids.new_id();
    for (kind, likes) in [("test.echoed", 0), ("test.happened", 60)] {
        let event = NewEvent::new(world.workspace, kind, json!({"likes": likes})).about(post);
        world.engine.ingest(event).await.unwrap();
    }
    let told = world
        .engine
        .why_post(world.workspace, post, rule)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told.events.len(), 2);
    assert!(
        told.text.starts_with("It started on none of 2 events about this post. On test.happened: It did not start: likes is 60"),
        "{}",
        told.text
    );
}

/// Switches a rule, and saves another version of it if told.
async fn switch(world: &World, rule: RuleId, is_enabled: bool, change: Option<&str>) {
    let mut tx = world.engine.store.begin().await.unwrap();
    let mut row = rules::find(&mut tx, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    row.is_enabled = is_enabled;
    row.generation += 1;
    row.updated_at = world.engine.now();
    if change.is_some() {
        let old = rules::find_version(&mut tx, world.workspace, rule, row.version)
            .await
            .unwrap()
            .unwrap();
        row.version += 1;
        let mut document = old.document.clone();
        document.condition = None;
        let version = rules::RuleVersion {
            version: row.version,
            document,
            created_at: row.updated_at,
            ..old
        };
        rules::insert_version(&mut tx, world.workspace, &version)
            .await
            .unwrap();
    }
    rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    world.engine.reload_rules().await.unwrap();
}
