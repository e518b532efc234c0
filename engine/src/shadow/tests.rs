//! Shadows on events, on schedules, across deaths and beside each other.

use serde_json::json;
use so_model::{
    id::{RuleId, UserId},
    rule::RuleDocument,
    shadow::{ShadowCounts, ShadowDifference, ShadowOutcome},
    time::{HOUR, MINUTE, SECOND},
};
use so_store::{
    Sql as _,
    rule_shadows::{self, Progress, RuleShadow},
    rules,
    script_library::{self, ModuleVersion},
};

use crate::testing::World;

const RULE: &str = "
version: 1
name: Popular
triggers: [{id: t, kind: test.happened}]
if: {field: event.data.likes, op: gt, value: 100}
steps: [{id: say, action: test.echo, with: {text: '{{ event.data.name }}'}}]
";

async fn shadow(world: &World, rule: RuleId, candidate: &str) {
    shadow_at(world, rule, candidate, 0).await;
}

async fn shadow_at(world: &World, rule: RuleId, candidate: &str, library_revision: i64) {
    let document: RuleDocument = serde_yaml_ng::from_str(candidate).unwrap();
    let now = world.engine.now();
    let row = RuleShadow {
        rule,
        workspace: world.workspace,
        document,
        source: candidate.into(),
        cases: None,
        base_version: 1,
        library_revision,
        author: UserId::derived(&["ann"]),
        reason: "more of it".into(),
        promote_after_days: None,
        progress: Progress {
            after_event: so_model::id::EventId::from_parts(now, [0; 10]).to_string(),
            seen_until: now,
            counts: ShadowCounts::default(),
            same_at: None,
            differed_at: None,
        },
        problem: None,
        generation: 1,
        started_at: now,
    };
    let mut tx = world.engine.store.begin().await.unwrap();
    rule_shadows::insert(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
}

async fn seen(world: &World, rule: RuleId) -> (RuleShadow, Vec<ShadowDifference>) {
    let mut reader = world.engine.store.clone();
    let row = rule_shadows::find(&mut reader, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    let mut listed =
        rule_shadows::list_differences(&mut reader, world.workspace, rule, i64::MAX, 100)
            .await
            .unwrap();
    listed.reverse();
    (row, listed)
}

/// Everything so far is old enough to be looked at.
async fn looked_at(world: &World) {
    world.clock.advance(11 * SECOND);
    assert_eq!(world.engine.move_shadows().await.unwrap(), 1);
}

#[tokio::test]
async fn a_candidate_is_counted_beside_the_live_version_and_does_nothing() {
    let mut world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    for likes in [20, 70, 150] {
        world
            .event("test.happened", json!({"likes": likes, "name": "Ann"}))
            .await;
    }
    world.event("test.other", json!({})).await;
    // What has just happened may not be whole yet.
    assert_eq!(world.engine.move_shadows().await.unwrap(), 1);
    assert_eq!(
        seen(&world, rule).await.0.progress.counts,
        ShadowCounts::default()
    );
    looked_at(&world).await;
    let expected = ShadowCounts {
        same: 2,
        only_candidate: 1,
        ..ShadowCounts::default()
    };
    let (row, listed) = seen(&world, rule).await;
    assert_eq!((row.progress.counts, listed.len()), (expected, 1));
    assert_eq!((listed[0].seq, listed[0].path.as_str()), (1, "/if"));
    assert!(
        listed[0].because.contains("likes is 70"),
        "{}",
        listed[0].because
    );
    assert_eq!(row.progress.differed_at, Some(listed[0].at));
    // Looked at again, and by another life of the process, nothing is counted twice.
    looked_at(&world).await;
    world.crash_and_restart().await;
    looked_at(&world).await;
    assert_eq!(seen(&world, rule).await.0.progress.counts, expected);
    world.settle().await;
    assert_eq!(world.runs().await.len(), 1, "only the live version ran");
}

#[tokio::test]
async fn nobody_is_called_for_a_shadow() {
    let world = World::new().await;
    let call = RULE.replace(
        "steps: [{",
        "steps: [{id: ask, action: test.call, with: {text: hello}}, {",
    );
    assert_ne!(call, RULE);
    let rule = world.rule(&call).await;
    // The step behind the call says something else, so both were gone through beyond it.
    let other = call.replace("event.data.name", "event.data.name + \"!\"");
    assert_ne!(other, call);
    shadow(&world, rule, &other).await;
    world
        .event("test.happened", json!({"likes": 150, "name": "Ann"}))
        .await;
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        differs: 1,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
    assert!(world.remote_calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn what_was_not_looked_at_is_not_said_to_be() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    let more = RULE.replace("event.data.name", "event.data.name + \"!\"");
    shadow(&world, rule, &more).await;
    // Two dry runs each: more than one turn takes.
    let mut last = world.engine.now();
    for _ in 0..15 {
        world.clock.advance(SECOND);
        last = world.engine.now();
        world
            .event("test.happened", json!({"likes": 150, "name": "Ann"}))
            .await;
    }
    looked_at(&world).await;
    let (row, _) = seen(&world, rule).await;
    assert_eq!(row.progress.counts.differs, 10);
    assert!(
        row.progress.seen_until < last.plus(-4 * SECOND),
        "{}",
        row.progress.seen_until
    );
    assert_eq!(row.progress.differed_at, Some(last.plus(-5 * SECOND)));
    looked_at(&world).await;
    let (row, _) = seen(&world, rule).await;
    assert_eq!(row.progress.counts.differs, 15);
    assert!(row.progress.seen_until > last);
    assert_eq!(row.progress.same_at, None);
}

#[tokio::test]
async fn what_nobody_recorded_is_not_told() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    world
        .event("test.happened", json!({"likes": 20, "name": "Ann"}))
        .await;
    world
        .event("test.happened", json!({"likes": 70, "name": "Ann"}))
        .await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let gone = tx
        .run("DELETE FROM refusals", so_store::args![])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(gone, 2);
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        unknown: 2,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
    assert!(listed[0].because.contains("not recorded"));
}

#[tokio::test]
async fn a_chain_that_ended_for_live_would_have_ended_for_the_candidate() {
    let mut world = World::new().await;
    // It feeds itself until the chain is too long.
    let circle = RULE
        .replace(
            "with: {text: '{{ event.data.name }}'}",
            "with: {emit: test.happened}",
        )
        .replace(
            "if: {field: event.data.likes, op: gt, value: 100}",
            "notes: round",
        );
    assert!(circle.contains("emit") && circle.contains("round"));
    let rule = world.rule(&circle).await;
    shadow(
        &world,
        rule,
        &circle.replace("notes: round", "notes: round and round"),
    )
    .await;
    world
        .event("test.happened", json!({"likes": 150, "name": "Ann"}))
        .await;
    world.settle().await;
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    assert_eq!(row.progress.counts.listed(), 0, "{listed:#?}");
    assert!(row.progress.counts.same > 1);
}

#[tokio::test]
async fn a_rule_that_was_switched_off_ends_the_comparison() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let found = rules::find(&mut tx, world.workspace, rule).await;
    let mut row = found.unwrap().unwrap();
    row.is_enabled = false;
    row.generation += 1;
    rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    looked_at(&world).await;
    let (row, _) = seen(&world, rule).await;
    assert_eq!(row.problem.as_deref(), Some("the rule was switched off"));
    assert_eq!(world.engine.move_shadows().await.unwrap(), 0);
}

#[tokio::test]
async fn a_candidate_ends_with_the_library_it_was_frozen_with() {
    let world = World::new().await;
    let (calls, plain) = (world.rule(RULE).await, world.rule(RULE).await);
    let save = async |revision: i64, source: &str| {
        let version = ModuleVersion {
            name: "texts".into(),
            version: revision,
            revision,
            source: source.into(),
            author: None,
            reason: String::new(),
            override_reason: None,
            created_at: world.engine.now(),
        };
        let mut tx = world.engine.store.begin().await.unwrap();
        script_library::lock(&mut tx, world.workspace)
            .await
            .unwrap();
        script_library::put(&mut tx, world.workspace, &version)
            .await
            .unwrap();
        tx.commit().await.unwrap();
    };
    save(1, "fn say(name) { name }").await;
    let candidate = RULE.replace("event.data.name", "lib::texts::say(event.data.name)");
    shadow_at(&world, calls, &candidate, 1).await;
    shadow_at(&world, plain, RULE, 1).await;
    world
        .event("test.happened", json!({"likes": 150, "name": "Ann"}))
        .await;
    world.clock.advance(11 * SECOND);
    assert_eq!(world.engine.move_shadows().await.unwrap(), 2);
    assert_eq!(seen(&world, calls).await.0.progress.counts.same, 1);
    save(2, "fn say(name) { name + \"!\" }").await;
    world.engine.move_shadows().await.unwrap();
    let problem = seen(&world, calls).await.0.problem;
    assert_eq!(
        problem.as_deref(),
        Some("the script library changed meanwhile")
    );
    assert_eq!(seen(&world, plain).await.0.problem, None);
}

#[tokio::test]
async fn an_error_that_lasts_is_the_shadows_problem() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    for likes in [70, 80] {
        world
            .event("test.happened", json!({"likes": likes, "name": "Ann"}))
            .await;
        world.clock.advance(SECOND);
    }
    let mut tx = world.engine.store.begin().await.unwrap();
    let broken = "UPDATE events SET cause = '1' WHERE id = (SELECT MAX(id) FROM events)";
    assert_eq!(tx.run(broken, so_store::args![]).await.unwrap(), 1);
    tx.commit().await.unwrap();
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let problem = row.problem.unwrap_or_default();
    assert!(problem.starts_with("it cannot be compared: "), "{problem}");
    // Nothing of that turn counts.
    assert_eq!(
        (row.progress.counts, listed.len()),
        (ShadowCounts::default(), 0)
    );
    assert_eq!(world.engine.move_shadows().await.unwrap(), 0);
}

#[tokio::test]
async fn a_step_more_is_a_difference_of_effects() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    let more = RULE.replace(
        "steps: [",
        "steps: [{id: first, action: test.echo, with: {emit: test.other}}, ",
    );
    shadow(&world, rule, &more).await;
    world
        .event("test.happened", json!({"likes": 150, "name": "Ann"}))
        .await;
    world
        .event("test.happened", json!({"likes": 15, "name": "Ann"}))
        .await;
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        same: 1,
        differs: 1,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
    assert_eq!(listed[0].outcome, ShadowOutcome::EffectsDiffer);
    assert!(
        listed[0].because.contains("does test.echo (step first"),
        "{}",
        listed[0].because
    );
}

#[tokio::test]
async fn bounds_on_starts_that_differ_are_not_guessed() {
    let world = World::new().await;
    let rule = world
        .rule(&format!("{RULE}throttle: {{max: 1, per: 1h}}\n"))
        .await;
    shadow(
        &world,
        rule,
        &format!("{RULE}throttle: {{max: 2, per: 1h}}\n"),
    )
    .await;
    for likes in [150, 160, 20] {
        world
            .event("test.happened", json!({"likes": likes, "name": "Ann"}))
            .await;
    }
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        same: 1,
        unknown: 2,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
    // Without any bound it would have started each time.
    let mut tx = world.engine.store.begin().await.unwrap();
    assert!(
        rule_shadows::delete(&mut tx, world.workspace, rule, None)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    world.clock.advance(2 * HOUR);
    shadow(&world, rule, RULE).await;
    for _ in 0..2 {
        world
            .event("test.happened", json!({"likes": 150, "name": "Ann"}))
            .await;
    }
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        same: 1,
        only_candidate: 1,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
}

#[tokio::test]
async fn moments_of_schedules_are_compared() {
    let mut world = World::new().await;
    // It is 10:00 in Berlin.
    let cron = "
version: 1
name: Daily
triggers: [{id: daily, kind: time.cron, with: {expression: '30 10 * * *'}}, {id: hourly, kind: time.cron, with: {expression: '0 * * * *'}}]
steps: [{id: say, action: test.echo}]
";
    let rule = world.rule(cron).await;
    shadow(&world, rule, &cron.replace("30 10", "45 10")).await;
    for _ in 0..14 {
        world.pass(5 * MINUTE).await;
    }
    looked_at(&world).await;
    let (row, listed) = seen(&world, rule).await;
    let expected = ShadowCounts {
        same: 1,
        only_live: 1,
        only_candidate: 1,
        ..ShadowCounts::default()
    };
    assert_eq!(row.progress.counts, expected, "{listed:#?}");
    assert_eq!(
        listed[0].because,
        "the candidate's schedule has no such moment"
    );
    assert_eq!((listed[1].event, listed[1].what.as_str()), (None, "daily"));
    looked_at(&world).await;
    assert_eq!(seen(&world, rule).await.0.progress.counts, expected);
}

#[tokio::test]
async fn one_mover_at_a_time_and_a_late_one_counts_nothing() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    world
        .event("test.happened", json!({"likes": 70, "name": "Ann"}))
        .await;
    world.clock.advance(11 * SECOND);
    let now = world.engine.now();
    let (mut row, _) = seen(&world, rule).await;
    let mut tx = world.engine.store.begin().await.unwrap();
    assert!(
        rule_shadows::claim(&mut tx, &row, now, now.plus(MINUTE))
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    assert_eq!(
        world.engine.move_shadows().await.unwrap(),
        0,
        "another process has it"
    );
    // That one dies; its lease ends.
    world.clock.advance(2 * MINUTE);
    assert_eq!(world.engine.move_shadows().await.unwrap(), 1);
    row.generation += 1;
    row.progress.counts.only_candidate = 7;
    let mut tx = world.engine.store.begin().await.unwrap();
    assert!(!rule_shadows::advance(&mut tx, &row).await.unwrap());
    tx.rollback().await.unwrap();
    assert_eq!(seen(&world, rule).await.0.progress.counts.only_candidate, 1);
}

#[tokio::test]
async fn a_shadow_ends_its_comparison_when_another_version_goes_live() {
    let world = World::new().await;
    let rule = world.rule(RULE).await;
    shadow(&world, rule, &RULE.replace("100", "50")).await;
    let mut tx = world.engine.store.begin().await.unwrap();
    let mut row = rules::find(&mut tx, world.workspace, rule)
        .await
        .unwrap()
        .unwrap();
    let old = rules::find_version(&mut tx, world.workspace, rule, 1)
        .await
        .unwrap()
        .unwrap();
    row.version = 2;
    row.generation += 1;
    let version = rules::RuleVersion { version: 2, ..old };
    rules::insert_version(&mut tx, world.workspace, &version)
        .await
        .unwrap();
    rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    looked_at(&world).await;
    let (row, _) = seen(&world, rule).await;
    assert_eq!(
        row.problem.as_deref(),
        Some("version 2 went live meanwhile")
    );
    assert_eq!(world.engine.move_shadows().await.unwrap(), 0);
}
