//! Events, jobs, memos and timers: what the engine builds its promises on.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use so_model::{
    id::{RunId, WorkspaceId},
    run::{Memo, RunState, StepOutcome},
};
use so_store::{Sql as _, args, events, jobs, rule_keys, rules, runs, timers};
use tokio::task::JoinSet;

use crate::support::{Db, NOW, at, event, id, is_stale, on_both, run};

on_both!(an_event_whose_sender_names_no_identity_is_no_second_delivery);
async fn an_event_whose_sender_names_no_identity_is_no_second_delivery(db: Db) {
    let workspace = db.workspace().await;
    let mut nameless = event(workspace, "");
    nameless.dedupe = nameless.id.to_string();
    // Somebody else's identity that reads like the other's id.
    let named = event(workspace, &nameless.dedupe);
    let again = event(workspace, &nameless.dedupe);
    let mut tx = db.begin().await;
    let stored = events::insert_many(&mut tx, &[&nameless, &named, &again], true, NOW)
        .await
        .unwrap();
    assert_eq!(stored, [true, true, false]);
    // Whoever does not know whether the commit took effect stores the same event again.
    let same = events::insert_many(&mut tx, &[&nameless], true, NOW).await;
    assert_eq!(same.unwrap(), [false]);
    tx.commit().await.unwrap();
    let first = events::find_delivery(&mut db.read(), workspace, "engine", &nameless.dedupe).await;
    assert_eq!(first.unwrap().unwrap().id, named.id);
}

on_both!(a_second_delivery_is_the_same_event);
async fn a_second_delivery_is_the_same_event(db: Db) {
    let (one, two) = (db.workspace().await, db.workspace().await);
    let first = event(one, "delivery 1");
    let mut tx = db.begin().await;
    assert!(events::insert(&mut tx, &first, false, NOW).await.unwrap());
    let again = event(one, "delivery 1");
    assert!(!events::insert(&mut tx, &again, false, NOW).await.unwrap());
    let elsewhere = event(two, "delivery 1");
    assert!(
        events::insert(&mut tx, &elsewhere, false, NOW)
            .await
            .unwrap()
    );
    tx.commit().await.unwrap();
    let found = events::find_delivery(&mut db.read(), one, "engine", "delivery 1").await;
    assert_eq!(found.unwrap(), Some(first));
    assert_eq!(
        events::find(&mut db.read(), one, again.id).await.unwrap(),
        None
    );
}

on_both!(an_undecided_event_is_found_until_it_is_decided);
async fn an_undecided_event_is_found_until_it_is_decided(db: Db) {
    let workspace = db.workspace().await;
    let stored = event(workspace, "a");
    let mut tx = db.begin().await;
    events::insert(&mut tx, &stored, false, NOW).await.unwrap();
    events::insert(&mut tx, &event(workspace, "b"), true, NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    let found = events::claim_undecided(&mut tx, at(1), 10).await.unwrap();
    assert_eq!(found, std::slice::from_ref(&stored));
    events::mark_decided(&mut tx, stored.id).await.unwrap();
    assert!(
        events::claim_undecided(&mut tx, at(1), 10)
            .await
            .unwrap()
            .is_empty()
    );
    tx.commit().await.unwrap();
}

async fn wake(db: &Db, workspace: WorkspaceId, subject: &str, seconds: i64) {
    let mut tx = db.begin().await;
    jobs::wake(&mut tx, id(), workspace, "run", subject, at(seconds))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

async fn claim(db: &Db, seconds: i64) -> Vec<jobs::Job> {
    let mut tx = db.begin().await;
    let claimed = jobs::claim(&mut tx, "run", at(seconds), "me", at(seconds + 60), 10)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    claimed
}

on_both!(two_claimers_never_share_a_job);
async fn two_claimers_never_share_a_job(db: Db) {
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    for n in 0..120 {
        jobs::wake(&mut tx, id(), workspace, "run", &format!("{n}"), NOW)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let mut tasks = JoinSet::new();
    for owner in 0..6 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let mut mine = Vec::new();
            loop {
                let mut tx = store.begin().await.unwrap();
                let owner = format!("worker {owner}");
                let claimed = jobs::claim(&mut tx, "run", NOW, &owner, at(60), 7)
                    .await
                    .unwrap();
                tx.commit().await.unwrap();
                if claimed.is_empty() {
                    return mine;
                }
                mine.extend(claimed.into_iter().map(|job| job.subject));
            }
        });
    }
    let claimed: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    let different: BTreeSet<&String> = claimed.iter().collect();
    assert_eq!((claimed.len(), different.len()), (120, 120));
}

// SQLite has one writer.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn leases_that_somebody_is_about_to_settle_hold_up_no_other_on_postgres() {
    let name = "leases_that_somebody_is_about_to_settle_hold_up_no_other_on_postgres";
    let Some(db) = Db::postgres(name).await else {
        return;
    };
    let workspace = db.workspace().await;
    for subject in ["a", "b", "c"] {
        wake(&db, workspace, subject, 0).await;
    }
    let held = claim(&db, 0).await;
    let mut settles = db.begin().await;
    let fenced = jobs::fence_many(&mut settles, &[&held[1]]).await;
    assert_eq!(fenced.unwrap().len(), 1);
    let mut renews = db.begin().await;
    // A wait would never end here.
    let bounded = renews.run("SET LOCAL lock_timeout = '1s'", args![]);
    bounded.await.unwrap();
    let others = jobs::extend_many(&mut renews, &held, at(80)).await;
    assert_eq!(others.unwrap(), 2);
    renews.commit().await.unwrap();
    // Whoever holds it prolongs it all the same.
    let own = jobs::extend_many(&mut settles, &held[1..2], at(80)).await;
    assert_eq!(own.unwrap(), 1);
    settles.commit().await.unwrap();
}

on_both!(a_worker_that_lost_its_lease_changes_nothing);
async fn a_worker_that_lost_its_lease_changes_nothing(db: Db) {
    let workspace = db.workspace().await;
    wake(&db, workspace, "a", 0).await;
    let lost = claim(&db, 0).await.remove(0);
    let mut tx = db.begin().await;
    assert_eq!(jobs::rescue(&mut tx, at(60)).await.unwrap(), 0);
    assert_eq!(jobs::rescue(&mut tx, at(61)).await.unwrap(), 1);
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    assert!(is_stale(jobs::fence(&mut tx, &lost).await));
    drop(tx);
    let held = claim(&db, 61).await.remove(0);
    assert_eq!((held.id, held.epoch), (lost.id, lost.epoch + 1));
    let mut tx = db.begin().await;
    assert!(is_stale(jobs::fence(&mut tx, &lost).await));
    assert!(is_stale(jobs::finish(&mut tx, &lost).await));
    assert!(is_stale(jobs::put_off(&mut tx, &lost, at(99), None).await));
    jobs::fence(&mut tx, &held).await.unwrap();
    jobs::finish(&mut tx, &held).await.unwrap();
    assert_eq!(jobs::next_due(&mut tx, "run").await.unwrap(), None);
    tx.commit().await.unwrap();
}

on_both!(a_renewed_lease_is_not_rescued);
async fn a_renewed_lease_is_not_rescued(db: Db) {
    let workspace = db.workspace().await;
    wake(&db, workspace, "a", 0).await;
    let job = claim(&db, 0).await.remove(0);
    let lost = jobs::Job {
        epoch: job.epoch - 1,
        ..job.clone()
    };
    let mut tx = db.begin().await;
    assert_eq!(jobs::extend(&mut tx, &lost, at(500)).await.unwrap(), 0);
    assert_eq!(jobs::extend(&mut tx, &job, at(120)).await.unwrap(), 1);
    assert_eq!(jobs::rescue(&mut tx, at(100)).await.unwrap(), 0);
    assert_eq!(jobs::rescue_all(&mut tx).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

on_both!(waking_brings_a_job_forward_and_never_puts_it_off);
async fn waking_brings_a_job_forward_and_never_puts_it_off(db: Db) {
    let workspace = db.workspace().await;
    wake(&db, workspace, "a", 100).await;
    wake(&db, workspace, "a", 50).await;
    wake(&db, workspace, "a", 200).await;
    assert_eq!(
        jobs::next_due(&mut db.read(), "run").await.unwrap(),
        Some(at(50))
    );
    assert!(claim(&db, 49).await.is_empty());
    assert_eq!(claim(&db, 50).await.len(), 1);
}

on_both!(a_job_woken_while_it_runs_runs_once_more);
async fn a_job_woken_while_it_runs_runs_once_more(db: Db) {
    let workspace = db.workspace().await;
    wake(&db, workspace, "a", 0).await;
    let job = claim(&db, 0).await.remove(0);
    wake(&db, workspace, "a", 10).await;
    // A later wish does not put the earlier one off.
    wake(&db, workspace, "a", 300).await;
    assert!(claim(&db, 20).await.is_empty(), "it still runs");
    let mut tx = db.begin().await;
    jobs::fence(&mut tx, &job).await.unwrap();
    jobs::finish(&mut tx, &job).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(&db, 9).await.is_empty());
    let again = claim(&db, 10).await;
    assert_eq!(again.len(), 1);
    let mut tx = db.begin().await;
    jobs::finish(&mut tx, &again[0]).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(&db, 1000).await.is_empty());
}

on_both!(a_job_put_off_comes_back_at_the_earlier_of_both_moments);
async fn a_job_put_off_comes_back_at_the_earlier_of_both_moments(db: Db) {
    let workspace = db.workspace().await;
    wake(&db, workspace, "a", 0).await;
    let job = claim(&db, 0).await.remove(0);
    wake(&db, workspace, "a", 5).await;
    let mut tx = db.begin().await;
    jobs::put_back(&mut tx, &job, at(100), "busy")
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let job = claim(&db, 5).await.remove(0);
    assert_eq!(job.tries, 2, "a failure counts");
    let mut tx = db.begin().await;
    jobs::put_off(&mut tx, &job, at(100), None).await.unwrap();
    tx.commit().await.unwrap();
    assert!(claim(&db, 99).await.is_empty());
    assert_eq!(
        claim(&db, 100).await.remove(0).tries,
        1,
        "getting on does not"
    );
}

on_both!(lost_work_is_due_at_once_though_it_was_woken_for_later);
async fn lost_work_is_due_at_once_though_it_was_woken_for_later(db: Db) {
    let workspace = db.workspace().await;
    for rescue_all in [false, true] {
        wake(&db, workspace, "a", 0).await;
        let job = claim(&db, 0).await.remove(0);
        wake(&db, workspace, "a", 9_000).await;
        let mut tx = db.begin().await;
        let freed = if rescue_all {
            jobs::rescue_all(&mut tx).await
        } else {
            jobs::rescue(&mut tx, at(61)).await
        };
        assert_eq!(freed.unwrap(), 1);
        tx.commit().await.unwrap();
        let again = claim(&db, 61).await.remove(0);
        assert_eq!(again.id, job.id);
        let mut tx = db.begin().await;
        jobs::finish(&mut tx, &again).await.unwrap();
        tx.commit().await.unwrap();
    }
}

on_both!(an_outcome_of_a_step_is_written_once);
async fn an_outcome_of_a_step_is_written_once(db: Db) {
    let workspace = db.workspace().await;
    let run = run(&db, workspace).await;
    let mut memo = Memo {
        path: "/steps/0".into(),
        step: "post.create".into(),
        attempt: 1,
        outcome: StepOutcome::Started,
        input: json!({"a": 1}),
        output: Value::Null,
        error: None,
        condition: None,
        started_at: NOW,
        finished_at: None,
    };
    let mut tx = db.begin().await;
    runs::put_memo(&mut tx, workspace, run, &memo)
        .await
        .unwrap();
    memo.outcome = StepOutcome::Done;
    memo.output = json!({"post": "p"});
    memo.finished_at = Some(at(1));
    runs::put_memo(&mut tx, workspace, run, &memo)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let mut other = memo.clone();
    other.outcome = StepOutcome::Failed;
    let mut tx = db.begin().await;
    assert!(is_stale(
        runs::put_memo(&mut tx, workspace, run, &other).await
    ));
    drop(tx);
    assert_eq!(
        runs::list_memos(&mut db.read(), workspace, run)
            .await
            .unwrap(),
        [memo]
    );
}

on_both!(a_run_that_is_over_stays_as_it_is);
async fn a_run_that_is_over_stays_as_it_is(db: Db) {
    let workspace = db.workspace().await;
    let run = run(&db, workspace).await;
    let mut tx = db.begin().await;
    let set = async |tx: &mut so_store::Tx, state, reason| {
        runs::set_state(tx, workspace, run, state, reason, at(5))
            .await
            .unwrap()
    };
    assert!(set(&mut tx, RunState::Cancelled, Some("")).await);
    assert!(!set(&mut tx, RunState::Finished, None).await);
    assert_eq!(runs::add_events(&mut tx, run, 3).await.unwrap(), 3);
    assert_eq!(runs::add_events(&mut tx, run, 2).await.unwrap(), 5);
    tx.commit().await.unwrap();
    let found = runs::find(&mut db.read(), workspace, run).await.unwrap();
    let found = found.unwrap();
    assert_eq!(found.state, RunState::Cancelled);
    // No reason and an empty one are different things.
    assert_eq!(found.reason.as_deref(), Some(""));
}

on_both!(a_timer_is_replaced_in_its_slot_and_comes_once);
async fn a_timer_is_replaced_in_its_slot_and_comes_once(db: Db) {
    let workspace = db.workspace().await;
    let mut timer = timers::Timer {
        id: id(),
        workspace,
        kind: "rule".into(),
        subject: "rule_a".into(),
        slot: String::new(),
        generation: 1,
        due_at: at(10),
        doc: Value::Null,
    };
    let mut tx = db.begin().await;
    timers::put(&mut tx, &timer).await.unwrap();
    (timer.generation, timer.due_at) = (2, at(20));
    timers::put(&mut tx, &timer).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        timers::next_due(&mut db.read()).await.unwrap(),
        Some(at(20))
    );
    let mut tx = db.begin().await;
    assert!(
        timers::claim_due(&mut tx, at(19), 9)
            .await
            .unwrap()
            .is_empty()
    );
    let due = timers::claim_due(&mut tx, at(20), 9).await.unwrap();
    assert_eq!(due, [timer.clone()]);
    timers::delete(&mut tx, timer.id).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(timers::next_due(&mut db.read()).await.unwrap(), None);
}

pub fn rule(workspace: WorkspaceId, name: &str) -> (rules::RuleRow, rules::RuleVersion) {
    let document = json!({
        "version": 1, "name": name,
        "triggers": [{"id": "t", "kind": "manual"}], "steps": []
    });
    let row = rules::RuleRow {
        id: id(),
        workspace,
        name: name.into(),
        is_enabled: true,
        version: 1,
        generation: 1,
        starter: None,
        problem: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let version = rules::RuleVersion {
        rule: row.id,
        version: 1,
        document: serde_json::from_value(document).unwrap(),
        source: String::new(),
        author: None,
        reason: String::new(),
        created_at: NOW,
        is_trial: false,
    };
    (row, version)
}

on_both!(any_change_to_a_rule_changes_the_stamp);
async fn any_change_to_a_rule_changes_the_stamp(db: Db) {
    let workspace = db.workspace().await;
    let (mut row, version) = rule(workspace, "a");
    let mut seen = BTreeSet::new();
    let mut tx = db.begin().await;
    assert!(seen.insert(rules::stamp(&mut tx).await.unwrap()));
    rules::insert(&mut tx, &row, &version).await.unwrap();
    assert!(seen.insert(rules::stamp(&mut tx).await.unwrap()));
    row.generation = 2;
    rules::update(&mut tx, &row).await.unwrap();
    assert!(seen.insert(rules::stamp(&mut tx).await.unwrap()));
    assert!(is_stale(rules::update(&mut tx, &row).await));
    assert!(
        rules::delete(&mut tx, workspace, row.id, NOW)
            .await
            .unwrap()
    );
    assert!(seen.insert(rules::stamp(&mut tx).await.unwrap()));
    assert!(rules::list_live(&mut tx).await.unwrap().is_empty());
    tx.commit().await.unwrap();
}

on_both!(a_key_is_remembered_until_its_time_is_over);
async fn a_key_is_remembered_until_its_time_is_over(db: Db) {
    let workspace = db.workspace().await;
    let (row, version) = rule(workspace, "a");
    let mut tx = db.begin().await;
    rules::insert(&mut tx, &row, &version).await.unwrap();
    let remember = async |tx: &mut so_store::Tx, key: &str, now, until| {
        rule_keys::remember(tx, workspace, row.id, key, id(), now, until)
            .await
            .unwrap()
    };
    assert!(remember(&mut tx, "k", NOW, Some(at(10))).await);
    assert!(!remember(&mut tx, "k", at(9), Some(at(20))).await);
    assert!(remember(&mut tx, "k", at(10), Some(at(20))).await);
    // Without an end it is remembered for good; an empty key is a key.
    assert!(remember(&mut tx, "", NOW, None).await);
    assert!(!remember(&mut tx, "", at(1_000_000), None).await);
    let (first, latest) = (id(), id());
    for event in [first, latest] {
        rule_keys::set_debounced(&mut tx, workspace, row.id, "d", event, NOW)
            .await
            .unwrap();
    }
    let take = rule_keys::take_debounced(&mut tx, row.id, "d").await;
    assert_eq!(take.unwrap(), Some(latest));
    let take = rule_keys::take_debounced(&mut tx, row.id, "d").await;
    assert_eq!(take.unwrap(), None);
    tx.commit().await.unwrap();
}

on_both!(workspaces_with_due_work_are_named_in_turn_however_long_their_queues);
async fn workspaces_with_due_work_are_named_in_turn_however_long_their_queues(db: Db) {
    let mut all = [
        db.workspace().await,
        db.workspace().await,
        db.workspace().await,
    ];
    all.sort();
    let [one, two, three] = all;
    for n in 0..20 {
        wake(&db, one, &format!("one {n}"), 1).await;
    }
    wake(&db, two, "two", 1).await;
    wake(&db, three, "later", 60).await;
    let named = async |after: String, limit| {
        jobs::workspaces_due(&mut db.read(), "run", &after, at(2), limit)
            .await
            .unwrap()
    };
    assert_eq!(named(String::new(), 10).await, [one, two]);
    assert_eq!(named(String::new(), 1).await, [one]);
    assert_eq!(named(one.to_string(), 10).await, [two]);
    assert!(named(two.to_string(), 10).await.is_empty());
    let due = jobs::count_due(&mut db.read(), "run", at(2), 100).await;
    assert_eq!(due.unwrap(), 21);
    let due = jobs::count_due(&mut db.read(), "run", at(2), 5).await;
    assert_eq!(due.unwrap(), 5);
    let mut tx = db.begin().await;
    let claimed = jobs::claim_of(&mut tx, "run", one, at(2), "me", at(60), 3).await;
    assert!(claimed.unwrap().iter().all(|job| job.workspace == one));
    tx.commit().await.unwrap();
}

on_both!(many_jobs_are_finished_at_once_except_those_that_were_woken_or_lost);
async fn many_jobs_are_finished_at_once_except_those_that_were_woken_or_lost(db: Db) {
    let workspace = db.workspace().await;
    for n in 0..5 {
        wake(&db, workspace, &format!("run {n}"), 0).await;
    }
    let claimed = claim(&db, 1).await;
    wake(&db, workspace, &claimed[1].subject, 2).await;
    let mut stale = claimed[2].clone();
    stale.epoch += 1;
    let ends = [&claimed[0], &claimed[1], &stale, &claimed[3]];
    let mut tx = db.begin().await;
    let finished = jobs::finish_many(&mut tx, &ends).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(finished, [claimed[0].id, claimed[3].id].into());
    let mut tx = db.begin().await;
    assert!(jobs::fence(&mut tx, &claimed[1]).await.is_ok());
    assert!(jobs::fence(&mut tx, &claimed[2]).await.is_ok());
    assert!(is_stale(jobs::fence(&mut tx, &claimed[0]).await));
    tx.rollback().await.unwrap();
}

on_both!(of_many_deliveries_in_one_statement_each_identity_is_stored_once);
async fn of_many_deliveries_in_one_statement_each_identity_is_stored_once(db: Db) {
    let workspace = db.workspace().await;
    let all: Vec<_> = (0..70)
        .map(|n| event(workspace, &format!("delivery {}", n % 65)))
        .collect();
    let rows: Vec<_> = all.iter().collect();
    let mut tx = db.begin().await;
    let new = events::insert_many(&mut tx, &rows, true, NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(new.iter().filter(|new| **new).count(), 65);
    assert!(new[..65].iter().all(|new| *new));
    for (event, is_new) in all.iter().zip(new) {
        let found = events::find(&mut db.read(), workspace, event.id).await;
        assert_eq!(found.unwrap().is_some(), is_new);
    }
}

on_both!(the_latest_starts_of_a_rule_are_told_newest_first);
async fn the_latest_starts_of_a_rule_are_told_newest_first(db: Db) {
    let workspace = db.workspace().await;
    let first = run(&db, workspace).await;
    let row = runs::find(&mut db.read(), workspace, first)
        .await
        .unwrap()
        .unwrap();
    let mut tx = db.begin().await;
    for seconds in [10, 20, 30] {
        let next = so_model::run::Run {
            id: RunId::from_parts(at(seconds), [7; 10]),
            created_at: at(seconds),
            ..row.clone()
        };
        runs::insert(&mut tx, &next).await.unwrap();
    }
    tx.commit().await.unwrap();
    let latest = runs::latest_starts(&mut db.read(), workspace, row.rule, 3)
        .await
        .unwrap();
    assert_eq!(latest, [at(30), at(20), at(10)]);
    let elsewhere = db.workspace().await;
    let none = runs::latest_starts(&mut db.read(), elsewhere, row.rule, 3)
        .await
        .unwrap();
    assert!(none.is_empty());
}
