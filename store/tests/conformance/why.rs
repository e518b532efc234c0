//! What is kept so that a decision can be explained later.

use std::collections::BTreeMap;

use serde_json::json;
use so_model::{
    id::{EventId, RunId},
    run::{ConditionTrace, Decision, Run, RunState, Verdict},
    why::Recorded,
};
use so_store::{decisions, decisions::NewDecision, events, rule_keys, rules, runs, runs::RunSpan};

use crate::{
    engine::rule,
    support::{Db, NOW, at, event, id, on_both},
};

on_both!(a_rule_remembers_when_it_was_switched);
async fn a_rule_remembers_when_it_was_switched(db: Db) {
    let workspace = db.workspace().await;
    let (mut row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    // Twice the same is one switch.
    for (second, is_enabled) in [(10, false), (20, false), (30, true)] {
        row.generation += 1;
        row.is_enabled = is_enabled;
        row.updated_at = at(second);
        rules::update(&mut tx, &row).await.unwrap();
    }
    let second = rules::RuleVersion {
        version: 2,
        created_at: at(15),
        ..version
    };
    rules::insert_version(&mut tx, workspace, &second)
        .await
        .unwrap();
    rules::delete(&mut tx, workspace, row.id, at(40))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let history = rules::history(&mut read, Some(workspace), row.id).await;
    let history = history.unwrap().unwrap();
    let switches = [
        (NOW, true),
        (at(10), false),
        (at(30), true),
        (at(40), false),
    ];
    assert_eq!(history.switches, switches);
    assert_eq!(history.deleted_at, Some(at(40)));
    let asked = [
        (-1, None),
        (0, Some(true)),
        (29, Some(false)),
        (30, Some(true)),
        (99, Some(false)),
    ];
    for (second, expected) in asked {
        assert_eq!(history.was_enabled(at(second)), expected, "{second}");
    }
    for (second, expected) in [(-1, None), (14, Some(1)), (15, Some(2))] {
        let found = rules::version_at(&mut read, workspace, row.id, at(second)).await;
        assert_eq!(found.unwrap(), expected, "{second}");
    }
    let other = db.workspace().await;
    let foreign = rules::history(&mut read, Some(other), row.id).await;
    assert_eq!(foreign.unwrap(), None);
    let anywhere = rules::history(&mut read, None, row.id).await;
    assert!(anywhere.unwrap().is_some());
}

on_both!(what_a_refusal_saw_is_kept_and_its_sentence_once);
async fn what_a_refusal_saw_is_kept_and_its_sentence_once(db: Db) {
    let workspace = db.workspace().await;
    let cause = event(workspace, "1");
    let rule = id();
    let trace = ConditionTrace {
        held: Some(false),
        text: String::new(),
        ..ConditionTrace::unconditional()
    };
    let new = NewDecision {
        workspace,
        event: cause.id,
        at: at(5),
        decision: Decision {
            rule,
            version: 1,
            trigger: "t".into(),
            verdict: Verdict::ConditionFailed,
            trace: Some(trace),
            reason: "likes is 87".into(),
        },
        seen: Some(Recorded {
            facts: BTreeMap::from([("rule_runs:{}".into(), json!(3))]),
            ..Recorded::default()
        }),
    };
    let mut tx = db.begin().await;
    events::insert(&mut tx, &cause, true, NOW).await.unwrap();
    decisions::insert_many(&mut tx, std::slice::from_ref(&new))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = decisions::list_for_event(&mut read, workspace, cause.id).await;
    let [stored] = &found.unwrap()[..] else {
        panic!("not one")
    };
    assert_eq!((stored.at, &stored.seen), (at(5), &new.seen));
    let trace = stored.decision.trace.as_ref().unwrap();
    assert_eq!(trace.text, "likes is 87");
    let stored = events::stored_at(&mut read, workspace, cause.id).await;
    assert_eq!(stored.unwrap(), Some((NOW, true)));
}

on_both!(events_of_a_span_are_found_by_kind);
async fn events_of_a_span_are_found_by_kind(db: Db) {
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    for (second, kind) in [(1, "a"), (2, "b"), (3, "a")] {
        let mut made = event(workspace, &second.to_string());
        made.id = EventId::from_parts(at(second), [7; 10]);
        made.kind = kind.into();
        events::insert(&mut tx, &made, true, at(second))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut read = db.read();
    for (kind, from, until, expected) in [
        ("a", 0, 9, 2),
        ("", 0, 9, 3),
        ("a", 2, 9, 1),
        ("b", 2, 2, 1),
        ("b", 3, 9, 0),
    ] {
        let found = events::list_between(&mut read, workspace, kind, at(from), at(until), 9).await;
        assert_eq!(found.unwrap().len(), expected, "{kind} {from} {until}");
    }
}

on_both!(a_key_tells_with_which_event_it_was_remembered);
async fn a_key_tells_with_which_event_it_was_remembered(db: Db) {
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let first: EventId = id();
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    rule_keys::remember(&mut tx, workspace, row.id, "k", first, NOW, None)
        .await
        .unwrap();
    for second in [3, 5] {
        rule_keys::add_tick(&mut tx, workspace, row.id, "k", id(), at(second), at(99))
            .await
            .unwrap();
    }
    let found = rule_keys::find_remembered(&mut tx, row.id, "k", at(7)).await;
    assert_eq!(found.unwrap(), Some((first, NOW)));
    let brief = Some(at(5));
    rule_keys::remember(&mut tx, workspace, row.id, "brief", first, NOW, brief)
        .await
        .unwrap();
    for (now, is_known) in [(4, true), (5, false)] {
        let found = rule_keys::find_remembered(&mut tx, row.id, "brief", at(now)).await;
        assert_eq!(found.unwrap().is_some(), is_known, "after {now} s");
    }
    let ticks = rule_keys::count_ticks(&mut tx, row.id, "k", at(1)).await;
    assert_eq!(ticks.unwrap(), (2, Some(at(3))));
    let ticks = rule_keys::count_ticks(&mut tx, row.id, "other", at(1)).await;
    assert_eq!(ticks.unwrap(), (0, None));
    tx.commit().await.unwrap();
}

on_both!(only_a_broken_run_is_opened_again_and_spans_find_it);
async fn only_a_broken_run_is_opened_again_and_spans_find_it(db: Db) {
    let workspace = db.workspace().await;
    let cause = event(workspace, "1");
    let (rule, other) = (id(), id());
    let states = [
        (1, rule, RunState::Failed),
        (2, rule, RunState::Cancelled),
        (3, rule, RunState::Finished),
        (4, other, RunState::Failed),
    ];
    let mut tx = db.begin().await;
    events::insert(&mut tx, &cause, true, NOW).await.unwrap();
    let mut made = Vec::new();
    for (second, rule, state) in states {
        let run = Run {
            id: RunId::from_parts(at(second), [7; 10]),
            workspace,
            rule,
            version: 1,
            event: cause.id,
            trigger: "t".into(),
            state,
            key: String::new(),
            decision: ConditionTrace::unconditional(),
            reason: Some("no post".into()),
            created_at: at(second),
            finished_at: Some(at(10)),
        };
        runs::insert(&mut tx, &run).await.unwrap();
        made.push(run.id);
    }
    tx.commit().await.unwrap();
    let failed = RunSpan {
        rule: None,
        state: RunState::Failed,
        from: None,
        until: None,
        after: None,
    };
    let rest = RunSpan {
        after: Some(made[0]),
        ..failed
    };
    let of_rule = RunSpan {
        rule: Some(rule),
        ..failed
    };
    let late = RunSpan {
        from: Some(at(2)),
        ..failed
    };
    let early = RunSpan {
        until: Some(at(3)),
        ..failed
    };
    let finished = RunSpan {
        state: RunState::Finished,
        ..failed
    };
    for (span, expected) in [
        (failed, vec![made[0], made[3]]),
        (rest, vec![made[3]]),
        (of_rule, vec![made[0]]),
        (late, vec![made[3]]),
        (early, vec![made[0]]),
        (finished, vec![made[2]]),
    ] {
        let found = runs::list_in(&mut db.read(), workspace, &span, 9)
            .await
            .unwrap();
        let found: Vec<RunId> = found.iter().map(|run| run.id).collect();
        assert_eq!(found, expected, "{span:?}");
    }
    let elsewhere = db.workspace().await;
    let mut tx = db.begin().await;
    assert!(!runs::reopen(&mut tx, elsewhere, made[0]).await.unwrap());
    for (run, expected) in [
        (made[0], true),
        (made[1], true),
        (made[2], false),
        (made[0], false),
    ] {
        assert_eq!(
            runs::reopen(&mut tx, workspace, run).await.unwrap(),
            expected
        );
    }
    let open = runs::find(&mut tx, workspace, made[0])
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (open.state, open.reason, open.finished_at),
        (RunState::Running, None, None)
    );
    assert_eq!(
        runs::workspace_of(&mut tx, made[0]).await.unwrap(),
        Some(workspace)
    );
    tx.commit().await.unwrap();
}
