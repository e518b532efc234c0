//! Events, decisions, runs and rules as people look at them, and what is forgotten in time.

use serde_json::json;
use so_model::{
    event::{Cause, Event},
    id::{EventId, RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Decision, Run, RunState, Verdict},
};
use so_store::{decisions, decisions::NewDecision, events, jobs, rule_keys, rules, runs, timers};

use crate::support::{Db, NOW, at, event, id, on_both};

fn run(event: &Event, rule: RuleId, state: RunState) -> Run {
    Run {
        id: id(),
        workspace: event.workspace,
        rule,
        version: 1,
        event: event.id,
        trigger: "t".into(),
        state,
        key: "k".into(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: NOW,
        finished_at: state.is_over().then_some(at(10)),
    }
}

async fn store_event(db: &Db, event: &Event) {
    let mut tx = db.begin().await;
    assert!(events::insert(&mut tx, event, true, NOW).await.unwrap());
    tx.commit().await.unwrap();
}

async fn store_run(db: &Db, run: &Run) {
    let mut tx = db.begin().await;
    runs::insert(&mut tx, run).await.unwrap();
    tx.commit().await.unwrap();
}

on_both!(events_are_listed_by_kind_subject_and_page);
async fn events_are_listed_by_kind_subject_and_page(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let first = event(workspace, "1");
    let mut second = event(workspace, "2");
    second.kind = "post.failed".into();
    second.subject = Some("post_a".into());
    second.cause = Cause {
        root: Some(first.id),
        depth: 1,
        ..Cause::default()
    };
    let foreign = event(other, "3");
    for event in [&first, &second, &foreign] {
        store_event(&db, event).await;
    }
    let list = async |kind, subject, before: &str| {
        let mut read = db.read();
        events::list(&mut read, workspace, kind, subject, before, 10)
            .await
            .unwrap()
    };
    assert_eq!(list("", "", "").await, [second.clone(), first.clone()]);
    assert_eq!(list("post.failed", "post_a", "").await, [second.clone()]);
    assert_eq!(
        list("", "", &second.id.to_string()).await,
        std::slice::from_ref(&first)
    );
    assert!(list("post.failed", "post_b", "").await.is_empty());
    let chain = events::count_in_chain(&mut db.read(), first.id).await;
    assert_eq!(chain.unwrap(), 2);
}

on_both!(runs_are_listed_by_rule_state_event_and_subject);
async fn runs_are_listed_by_rule_state_event_and_subject(db: Db) {
    let workspace = db.workspace().await;
    let mut cause = event(workspace, "1");
    cause.subject = Some("post_a".into());
    store_event(&db, &cause).await;
    let rule: RuleId = id();
    let first = run(&cause, rule, RunState::Running);
    let second = run(&cause, id(), RunState::Failed);
    store_run(&db, &first).await;
    store_run(&db, &second).await;
    let list = async |workspace: WorkspaceId, filter: runs::RunFilter<'_>| -> Vec<RunId> {
        let runs = runs::list(&mut db.read(), workspace, &filter, 10).await;
        runs.unwrap().iter().map(|run| run.id).collect()
    };
    let (rule_text, event_text) = (rule.to_string(), cause.id.to_string());
    let all = list(workspace, runs::RunFilter::default()).await;
    assert_eq!(all, [second.id, first.id]);
    let narrow = runs::RunFilter {
        rule: &rule_text,
        state: "running",
        event: &event_text,
        subject: "post_a",
        before: &second.id.to_string(),
    };
    assert_eq!(list(workspace, narrow.clone()).await, [first.id]);
    assert!(list(db.workspace().await, narrow.clone()).await.is_empty());
    let elsewhere = runs::RunFilter {
        subject: "post_b",
        ..narrow
    };
    assert!(list(workspace, elsewhere).await.is_empty());
    let mut read = db.read();
    let active = runs::list_active(&mut read, rule, "k", 10).await;
    assert_eq!(active.unwrap(), [(first.id, RunState::Running)]);
    let over = runs::list_active(&mut read, second.rule, "k", 10).await;
    assert!(over.unwrap().is_empty());
    let stranger = db.workspace().await;
    let (before, after) = (NOW, at(3_600));
    for (workspace, since, expected) in [
        (workspace, before, 1),
        (workspace, after, 0),
        (stranger, before, 0),
    ] {
        let count = runs::count_since(&mut read, workspace, rule, since).await;
        assert_eq!(count.unwrap(), expected);
    }
    for (trigger, expected) in [("t", true), ("u", false)] {
        let exists = runs::exists_for(&mut read, rule, cause.id, trigger).await;
        assert_eq!(exists.unwrap(), expected);
    }
}

on_both!(a_decision_taken_again_replaces_the_former);
async fn a_decision_taken_again_replaces_the_former(db: Db) {
    let workspace = db.workspace().await;
    let cause = event(workspace, "1");
    store_event(&db, &cause).await;
    let (rule, other_rule) = (id(), id());
    let refused = |rule, trigger: &str, second| NewDecision {
        workspace,
        event: cause.id,
        at: at(second),
        decision: Decision {
            rule,
            version: 1,
            trigger: trigger.into(),
            verdict: Verdict::ConditionFailed,
            trace: Some(ConditionTrace::unconditional()),
            reason: format!("two\nlines at {second}"),
        },
        seen: None,
    };
    let mut again = refused(rule, "t", 1);
    (again.decision.verdict, again.decision.trace) = (Verdict::Throttled, None);
    let mut first = vec![
        refused(rule, "t", 0),
        refused(other_rule, "t", 0),
        refused(rule, "u", 0),
    ];
    // So many are squeezed, and what comes later is appended as it is.
    first.extend((0..40).map(|_| refused(id(), "t", 0)));
    let mut tx = db.begin().await;
    decisions::insert_many(&mut tx, &first).await.unwrap();
    decisions::insert_many(&mut tx, std::slice::from_ref(&again))
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let of_rule = decisions::list_for_rule(&mut read, workspace, rule, 10).await;
    let of_rule = of_rule.unwrap();
    assert_eq!(of_rule.len(), 2);
    assert_eq!(
        (&of_rule[0].decision, of_rule[0].at),
        (&again.decision, at(1))
    );
    assert_eq!(of_rule[1].decision, first[2].decision);
    let of_event = decisions::list_for_event(&mut read, workspace, cause.id).await;
    let of_event = of_event.unwrap();
    assert_eq!(of_event.len(), 43);
    let on = decisions::list_for_rule_and_events(
        &mut read,
        workspace,
        rule,
        &[cause.id, EventId::from_parts(NOW, [1; 10])],
    )
    .await;
    assert_eq!(on.unwrap(), of_rule);
    let other = db.workspace().await;
    let foreign = decisions::list_for_rule(&mut read, other, rule, 10).await;
    assert!(foreign.unwrap().is_empty());
    let foreign = decisions::list_for_event(&mut read, other, cause.id).await;
    assert!(foreign.unwrap().is_empty());
    let foreign = decisions::list_for_rule_and_events(&mut read, other, rule, &[cause.id]).await;
    assert!(foreign.unwrap().is_empty());
}

on_both!(the_latest_decisions_about_a_rule_are_found_among_those_of_others);
async fn the_latest_decisions_about_a_rule_are_found_among_those_of_others(db: Db) {
    let workspace = db.workspace().await;
    let rules: [RuleId; 2] = [id(), id()];
    let mut tx = db.begin().await;
    for second in 0..6u8 {
        let mut cause = event(workspace, &second.to_string());
        cause.id = EventId::from_parts(at(second.into()), [second; 10]);
        events::insert(&mut tx, &cause, true, NOW).await.unwrap();
        let told = NewDecision {
            workspace,
            event: cause.id,
            at: at(second.into()),
            decision: Decision {
                rule: rules[usize::from(second % 2)],
                version: 1,
                trigger: "t".into(),
                verdict: Verdict::ConditionFailed,
                trace: None,
                reason: second.to_string(),
            },
            seen: None,
        };
        decisions::insert_many(&mut tx, &[told]).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (rule, expected) in rules.into_iter().zip([["4", "2"], ["5", "3"]]) {
        let found = decisions::list_for_rule(&mut db.read(), workspace, rule, 2).await;
        let found = found.unwrap();
        let told: Vec<&str> = found
            .iter()
            .map(|one| one.decision.reason.as_str())
            .collect();
        assert_eq!(told, expected);
    }
}

on_both!(history_is_forgotten_but_not_what_a_kept_run_needs);
async fn history_is_forgotten_but_not_what_a_kept_run_needs(db: Db) {
    let workspace = db.workspace().await;
    let (needed, unneeded) = (event(workspace, "1"), event(workspace, "2"));
    store_event(&db, &needed).await;
    store_event(&db, &unneeded).await;
    let done = run(&needed, id(), RunState::Finished);
    let alive = run(&needed, id(), RunState::Waiting);
    store_run(&db, &done).await;
    store_run(&db, &alive).await;
    let mut tx = db.begin().await;
    assert_eq!(runs::prune(&mut tx, at(10), 10).await.unwrap(), 0);
    assert_eq!(runs::prune(&mut tx, at(11), 10).await.unwrap(), 1);
    assert_eq!(
        events::prune(&mut tx, at(1), None, 10).await.unwrap(),
        (1, None)
    );
    tx.commit().await.unwrap();
    let mut read = db.read();
    let kept = events::find(&mut read, workspace, needed.id).await;
    assert!(kept.unwrap().is_some());
    let kept = runs::find(&mut read, workspace, alive.id).await;
    assert_eq!(kept.unwrap(), Some(alive));
}

on_both!(every_version_of_a_rule_stays_readable);
async fn every_version_of_a_rule_stays_readable(db: Db) {
    let workspace = db.workspace().await;
    let document = json!({
        "version": 1, "name": "a", "triggers": [{"id": "t", "kind": "manual"}], "steps": []
    });
    let mut row = rules::RuleRow {
        id: id(),
        workspace,
        name: "a".into(),
        is_enabled: true,
        version: 1,
        generation: 1,
        starter: Some(String::new()),
        problem: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let mut version = rules::RuleVersion {
        rule: row.id,
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        source: "name: a".into(),
        author: Some(id()),
        reason: String::new(),
        created_at: NOW,
        is_trial: false,
    };
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let first = version.clone();
    version.version = 2;
    rules::insert_version(&mut tx, workspace, &version)
        .await
        .unwrap();
    (row.version, row.generation) = (2, 2);
    rules::lock(&mut tx, row.id).await.unwrap();
    rules::update(&mut tx, &row).await.unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let found = rules::find(&mut read, workspace, row.id).await;
    assert_eq!(found.unwrap(), Some(row.clone()));
    let listed = rules::list(&mut read, workspace, "", 10).await;
    assert_eq!(listed.unwrap(), [row.clone()]);
    let live = rules::list_live(&mut read).await.unwrap();
    assert_eq!(live, [(row.clone(), version.document.clone())]);
    let other = db.workspace().await;
    let foreign = rules::find_version(&mut read, other, row.id, 1).await;
    assert_eq!(foreign.unwrap(), None);
    let mut tx = db.begin().await;
    assert!(
        rules::delete(&mut tx, workspace, row.id, NOW)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let versions = rules::list_versions(&mut read, workspace, row.id, 10).await;
    assert_eq!(versions.unwrap(), [version, first.clone()]);
    let pinned = rules::find_version(&mut read, workspace, row.id, 1).await;
    assert_eq!(pinned.unwrap(), Some(first));
    let mut tx = db.begin().await;
    rule_keys::remember(&mut tx, workspace, row.id, "k", id(), NOW, Some(at(5)))
        .await
        .unwrap();
    assert_eq!(rule_keys::prune(&mut tx, at(4)).await.unwrap(), 0);
    assert_eq!(rule_keys::prune(&mut tx, at(5)).await.unwrap(), 1);
}

on_both!(timers_and_jobs_are_told_by_row_and_state);
async fn timers_and_jobs_are_told_by_row_and_state(db: Db) {
    let workspace = db.workspace().await;
    let timer = |slot: &str| timers::Timer {
        id: id(),
        workspace,
        kind: "rule".into(),
        subject: "rule_a".into(),
        slot: slot.into(),
        generation: 1,
        due_at: NOW,
        doc: json!({}),
    };
    let (one, two) = (timer("1"), timer("2"));
    let mut tx = db.begin().await;
    timers::put(&mut tx, &one).await.unwrap();
    timers::put(&mut tx, &two).await.unwrap();
    jobs::wake(&mut tx, id(), workspace, "run", "a", NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut read = db.read();
    let listed = timers::list_for(&mut read, workspace, "rule", "rule_a").await;
    assert_eq!(listed.unwrap(), [one, two]);
    let counts = jobs::count_by_state(&mut read).await;
    assert_eq!(counts.unwrap(), [("available".to_string(), 1)]);
    let mut tx = db.begin().await;
    let deleted = timers::delete_for(&mut tx, "rule", "rule_a").await;
    assert_eq!(deleted.unwrap(), 2);
}
