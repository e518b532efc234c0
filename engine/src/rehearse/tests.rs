//! Dry runs: what is told, and that nothing is done.

use std::sync::Arc;

use serde_json::json;
use so_model::{
    content::Content,
    effect::{EffectKind, RehearsalEnd},
    event::{Cause, Event},
    id::RuleId,
    post::PostState,
    time::HOUR,
    why::{Clause, ClauseKind},
};

use super::{Rehearsal, Rehearse};
use crate::testing::World;

async fn rehearse(world: &World, rule: RuleId, data: serde_json::Value, anyway: bool) -> Rehearsal {
    let engine = &world.engine;
    let rule = engine
        .rule_version(world.workspace, rule, 1)
        .await
        .unwrap()
        .unwrap();
    let id = so_model::IdSource::new_id(&engine.ids);
    let event = Event {
        id,
        workspace: world.workspace,
        kind: "test.happened".into(),
        source: "sample".into(),
        dedupe: id.to_string(),
        subject: None,
        time: engine.now(),
        data,
        cause: Cause::default(),
    };
    let asked = Rehearse {
        rule,
        event: Arc::new(event),
        now: engine.now(),
        anyway,
    };
    engine.rehearse(&asked).await.unwrap()
}

fn told(rehearsal: &Rehearsal) -> Vec<&str> {
    rehearsal
        .effects
        .iter()
        .map(|effect| effect.text.as_str())
        .collect()
}

#[tokio::test]
async fn the_plan_tells_every_step_on_a_clock_of_its_own() {
    let world = World::new().await;
    world
        .rule("{version: 1, name: Listener, triggers: [{id: t, kind: test.echoed}], steps: [{id: a, stop: {}}]}")
        .await;
    let rule = world
        .rule(
            "
version: 1
name: Plan
triggers: [{id: t, kind: test.happened}]
if: {field: event.data.likes, op: gt, value: 5}
steps:
  - {id: names, set: {who: '{{ event.data.name }}'}}
  - {id: wait, delay: {for: 1h}}
  - {id: choice, if: {expr: 'vars.who == \"Ann\"'}, then: [{id: say, action: test.echo, with: {text: '{{ vars.who }}', emit: test.echoed}}]}
  - {id: call, action: test.call, with: {}}
  - {id: end, stop: {reason: 'done with {{ steps.say.output.text }}'}}
",
        )
        .await;
    let rehearsal = rehearse(&world, rule, json!({"likes": 6, "name": "Ann"}), false).await;
    assert_eq!(
        (rehearsal.would_start, rehearsal.end),
        (true, RehearsalEnd::Finished)
    );
    assert_eq!(
        told(&rehearsal),
        [
            "sets who",
            "waits 1h",
            "takes then: `vars.who == \"Ann\"` is true, wanted true",
            "does test.echo",
            "test.echoed follows, to which Listener listen",
            "does test.call (not made)",
            "ends here: done with Ann",
        ]
    );
    let last = rehearsal.effects.last().unwrap();
    assert_eq!(last.at, world.engine.now().plus(HOUR));
    assert!(
        world.remote_calls.lock().unwrap().is_empty(),
        "nobody was called"
    );
    assert!(world.runs().await.is_empty(), "and nothing was stored");
}

#[tokio::test]
async fn a_rule_that_would_not_start_says_why_and_goes_on_only_if_asked() {
    let world = World::new().await;
    let rule = world
        .rule(
            "
version: 1
name: Strict
triggers: [{id: t, kind: test.happened}]
if: {field: event.data.likes, op: ge, value: 100}
throttle: {max: 1, per: 1h}
steps: [{id: a, action: test.echo}]
",
        )
        .await;
    let rehearsal = rehearse(&world, rule, json!({"likes": 87}), false).await;
    assert_eq!(rehearsal.end, RehearsalEnd::NotStarted);
    assert!(rehearsal.effects.is_empty());
    assert!(rehearsal.reason.unwrap().ends_with("13 short"));
    let anyway = rehearse(&world, rule, json!({"likes": 87}), true).await;
    assert_eq!(
        (anyway.would_start, told(&anyway)),
        (false, vec!["does test.echo"])
    );
    // A dry run takes no place of the throttle; a start does.
    for _ in 0..3 {
        assert!(
            rehearse(&world, rule, json!({"likes": 200}), false)
                .await
                .would_start
        );
    }
    world.event("test.happened", json!({"likes": 200})).await;
    let full = rehearse(&world, rule, json!({"likes": 200}), false).await;
    let first = full.clauses.iter().find_map(Clause::first).unwrap();
    assert_eq!(first.what, ClauseKind::Throttle);
    assert!(
        first.text.starts_with("1 of 1 in 1h, free again at "),
        "{}",
        first.text
    );
}

#[tokio::test]
async fn what_a_step_changes_is_seen_by_the_next_and_by_nobody_else() {
    let world = World::new().await;
    let post = world.post(Content::status("Hello"), None).await;
    let rule = world
        .rule(
            "
version: 1
name: Publish
triggers: [{id: t, kind: test.happened}]
steps:
  - {id: a, action: post.publish, with: {post: '{{ event.data.post }}'}}
  - {id: b, action: post.publish, with: {post: '{{ event.data.post }}'}}
",
        )
        .await;
    let rehearsal = rehearse(&world, rule, json!({"post": post}), false).await;
    assert_eq!(rehearsal.end, RehearsalEnd::Failed, "{rehearsal:#?}");
    let failed = &rehearsal.effects.last().unwrap().what;
    assert!(
        matches!(failed, EffectKind::Failed { reason, .. } if reason.contains("publishing")),
        "the second step saw that the first had begun: {failed:?}"
    );
    assert_eq!(world.find_post(post).await.state, PostState::Draft);
    assert_eq!(*world.network.commits.lock().unwrap(), 0);
}

#[tokio::test]
async fn a_dry_run_leaves_the_database_as_it_was() {
    let mut world = World::new().await;
    let rule = world
        .rule(
            "
version: 1
name: All
triggers: [{id: t, kind: test.happened}]
mode: {kind: restart}
dedupe: {key: '{{ event.data.key }}'}
steps: [{id: a, action: test.echo, with: {emit: test.echoed}}]
",
        )
        .await;
    for _ in 0..2 {
        let rehearsal = rehearse(&world, rule, json!({"key": "a"}), false).await;
        assert!(
            rehearsal.would_start,
            "a key is not remembered by a dry run"
        );
    }
    world.settle().await;
    let events = so_store::events::list(
        &mut world.engine.store.clone(),
        world.workspace,
        "",
        "",
        "",
        9,
    )
    .await;
    assert!(events.unwrap().is_empty());
    assert!(world.runs().await.is_empty());
}

#[tokio::test]
async fn flow_goes_as_in_a_run() {
    let world = World::new().await;
    let rule = world
        .rule(
            "
version: 1
name: Flow
triggers: [{id: t, kind: test.happened}]
steps:
  - {id: none, for_each: {items: '{{ event.data.nothing }}'}, do: [{id: n, action: test.echo}]}
  - {id: each, for_each: {items: '{{ event.data.list }}'},
     do: [{id: e, action: test.echo, with: {fail: '{{ item }}'}}],
     on_error: [{id: told, set: {why: '{{ steps.each.error.step }}: {{ steps.each.error.message }}'}}]}
  - id: both
    parallel:
      - [{id: left, set: {x: 1}}]
      - [{id: right, action: test.echo, with: {seen: '{{ vars.len() }}'}}]
  - {id: wait, wait_for: {event: test.echoed, timeout: 1h, on_timeout: fail}}
  - {id: never, action: test.echo}
",
        )
        .await;
    let data = json!({"list": [false, true, false], "nothing": null});
    let rehearsal = rehearse(&world, rule, data, false).await;
    let told = told(&rehearsal);
    let echoes = told
        .iter()
        .filter(|text| text.starts_with("does test.echo"))
        .count();
    assert_eq!(
        echoes, 3,
        "two elements and a way, nothing after the end: {told:#?}"
    );
    let failed: Vec<_> = rehearsal
        .effects
        .iter()
        .filter_map(|effect| match &effect.what {
            EffectKind::Failed { reason, .. } => Some((effect.step.as_str(), reason.as_str())),
            _ => None,
        })
        .collect();
    assert_eq!(
        failed,
        [
            ("e", "told to fail"),
            (
                "each",
                "1 of 3 elements failed; the first at step e: told to fail"
            ),
            ("wait", "no event test.echoed came within 1h"),
        ],
        "{told:#?}"
    );
    assert_eq!(rehearsal.end, RehearsalEnd::Failed);
    assert_eq!(
        rehearsal.reason.as_deref(),
        Some("step wait: no event test.echoed came within 1h")
    );
}

#[tokio::test]
async fn an_event_is_no_duplicate_of_itself_and_an_hours_budget_counts() {
    let mut world = World::new().await;
    let rule = world
        .rule(
            "
version: 1
name: Once
triggers: [{id: t, kind: test.happened}]
dedupe: {key: '{{ event.data.key }}', within: 10m}
limits: {max_runs_per_hour: 2}
steps: [{id: a, action: test.echo}]
",
        )
        .await;
    let first = world.event("test.happened", json!({"key": "a"})).await;
    world.settle().await;
    let compiled = world.engine.rule_version(world.workspace, rule, 1).await;
    let asked = Rehearse {
        rule: compiled.unwrap().unwrap(),
        event: Arc::new(first),
        now: world.engine.now(),
        anyway: false,
    };
    assert!(world.engine.rehearse(&asked).await.unwrap().would_start);
    let same_key = json!({"key": "a"});
    assert!(
        !rehearse(&world, rule, same_key.clone(), false)
            .await
            .would_start
    );
    world.clock.advance(11 * so_model::time::MINUTE);
    assert!(
        rehearse(&world, rule, same_key.clone(), false)
            .await
            .would_start,
        "the key is forgotten"
    );
    world.event("test.happened", json!({"key": "b"})).await;
    world.settle().await;
    let full = rehearse(&world, rule, json!({"key": "c"}), false).await;
    let why = full.clauses.iter().find_map(Clause::first).unwrap();
    assert_eq!(
        (why.what, why.text.as_str()),
        (ClauseKind::Budget, "2 of 2 in the last hour")
    );
}
