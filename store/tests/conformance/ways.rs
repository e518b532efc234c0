//! Ordinary runs that are let go: the walk over them, and what is left.

use so_model::{
    event::{Cause, Event},
    id::{EventId, PostId, RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Memo, Run, RunState, StepOutcome},
    way::{WayStep, way_name},
};
use so_store::{
    Sql as _, events, publications,
    run_ways::{self, Finished, Mark, WayRow},
    runs,
};

use crate::support::{Db, NOW, at, event, id, id_at, is_stale, on_both, publication};

fn run(event: &Event, rule: RuleId, state: RunState, finished: i64) -> Run {
    Run {
        id: id_at(at(finished - 1)),
        workspace: event.workspace,
        rule,
        version: 1,
        event: event.id,
        trigger: "t".into(),
        state,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: at(finished - 1),
        finished_at: state.is_over().then_some(at(finished)),
    }
}

fn memo(path: &str) -> Memo {
    Memo {
        path: path.into(),
        step: "s".into(),
        attempt: 1,
        outcome: StepOutcome::Done,
        input: serde_json::Value::Null,
        output: serde_json::Value::Null,
        error: None,
        condition: None,
        started_at: NOW,
        finished_at: Some(NOW),
    }
}

async fn store(db: &Db, events: &[&Event], runs: &[&Run]) {
    let mut tx = db.begin().await;
    for event in events {
        assert!(events::insert(&mut tx, event, true, NOW).await.unwrap());
    }
    for run in runs {
        runs::insert(&mut tx, run).await.unwrap();
        runs::put_memo(&mut tx, run.workspace, run.id, &memo("/steps/0"))
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
}

fn way(workspace: WorkspaceId, rule: RuleId, number: i64, last: i64) -> WayRow {
    WayRow {
        way: number,
        workspace,
        rule,
        version: 1,
        trigger: "t".into(),
        steps: Some(vec![WayStep {
            path: "/steps/0".into(),
            step: "s".into(),
            outcomes: vec![StepOutcome::Done],
            marks: vec!["then".into()],
        }]),
        seen: 1,
        let_go: 0,
        week: 1,
        kept_in_week: 1,
        kept: vec![id()],
        first_at: NOW,
        last_at: at(last),
        let_go_at: None,
    }
}

const START: fn() -> Mark = || Mark {
    finished_at: NOW.plus(-1),
    run: String::new(),
};

async fn finished(db: &Db, mark: &Mark, before: i64, limit: i64) -> Vec<Finished> {
    run_ways::finished_after(&mut db.read(), mark, at(before), limit)
        .await
        .unwrap()
}

on_both!(the_walk_goes_over_finished_runs_in_the_order_of_their_ends);
async fn the_walk_goes_over_finished_runs_in_the_order_of_their_ends(db: Db) {
    let workspace = db.workspace().await;
    let mut cause = event(workspace, "1");
    cause.subject = Some("post_a".into());
    cause.cause = Cause {
        root: Some(id()),
        ..Cause::default()
    };
    let rule: RuleId = id();
    let late = run(&cause, rule, RunState::Finished, 9);
    let mut lost = run(&cause, rule, RunState::Finished, 5);
    lost.event = id();
    let same = run(&cause, rule, RunState::Finished, 5);
    let failed = run(&cause, rule, RunState::Failed, 5);
    let alive = run(&cause, rule, RunState::Running, 5);
    store(&db, &[&cause], &[&late, &lost, &same, &failed, &alive]).await;
    let found = finished(&db, &START(), 9, 10).await;
    let ids: Vec<RunId> = found.iter().map(|found| found.run).collect();
    assert_eq!(ids, [lost.id, same.id], "what ends later is not looked at");
    assert_eq!(found[0].cause, None);
    let known = found[1].cause.as_ref().unwrap();
    assert_eq!(Some(known.root), cause.cause.root);
    assert_eq!(known.subject.as_deref(), Some("post_a"));
    assert_eq!(known.dedupe, cause.dedupe);
    assert_eq!(
        (found[1].workspace, found[1].rule, found[1].version),
        (workspace, rule, 1)
    );
    assert_eq!(
        (found[1].event, found[1].created_at, found[1].finished_at),
        (cause.id, at(4), at(5))
    );
    let first = finished(&db, &START(), 10, 1).await;
    assert_eq!(first.len(), 1);
    let mark = Mark {
        finished_at: at(5),
        run: lost.id.to_string(),
    };
    let ids: Vec<RunId> = finished(&db, &mark, 10, 10)
        .await
        .iter()
        .map(|found| found.run)
        .collect();
    assert_eq!(ids, [same.id, late.id]);
}

on_both!(one_walks_at_a_time_and_the_mark_moves_with_the_commit);
async fn one_walks_at_a_time_and_the_mark_moves_with_the_commit(db: Db) {
    let mut read = db.read();
    let none = run_ways::thinned_until(&mut read).await.unwrap();
    assert_eq!(none.micros(), 0);
    let mark = Mark {
        finished_at: at(7),
        run: "run_a".into(),
    };
    let mut tx = db.begin().await;
    let held = run_ways::claim_mark(&mut tx).await.unwrap().unwrap();
    assert_eq!((held.finished_at.micros(), held.run.as_str()), (0, ""));
    run_ways::move_mark(&mut tx, &mark).await.unwrap();
    if db.folder.is_none() {
        let mut other = db.begin().await;
        let refused = run_ways::claim_mark(&mut other).await.unwrap();
        assert_eq!(refused, None, "another process walks");
        other.rollback().await.unwrap();
    }
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await;
    assert_eq!(run_ways::claim_mark(&mut tx).await.unwrap(), Some(held));
    run_ways::move_mark(&mut tx, &mark).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(run_ways::thinned_until(&mut read).await.unwrap(), at(7));
    let mut tx = db.begin().await;
    assert_eq!(run_ways::claim_mark(&mut tx).await.unwrap(), Some(mark));
}

on_both!(a_chain_lives_while_any_of_its_runs_does);
async fn a_chain_lives_while_any_of_its_runs_does(db: Db) {
    let workspace = db.workspace().await;
    let child = |root: &Event, dedupe: &str| {
        let mut child = event(workspace, dedupe);
        child.cause.root = Some(root.id);
        child
    };
    let (rooted, chained, over) = (
        event(workspace, "1"),
        event(workspace, "2"),
        event(workspace, "3"),
    );
    let (follows, ended) = (child(&chained, "4"), child(&over, "5"));
    let rule: RuleId = id();
    store(
        &db,
        &[&rooted, &chained, &over, &follows, &ended],
        &[
            &run(&rooted, rule, RunState::Waiting, 1),
            &run(&chained, rule, RunState::Finished, 1),
            &run(&follows, rule, RunState::Cancelling, 1),
            &run(&over, rule, RunState::Failed, 1),
            &run(&ended, rule, RunState::Finished, 1),
        ],
    )
    .await;
    let roots = [rooted.id, chained.id, over.id, follows.id];
    let alive = run_ways::live_roots(&mut db.read(), &roots).await.unwrap();
    // An event that follows from another one is asked about by its root.
    assert_eq!(alive, [rooted.id, chained.id, follows.id].into());
}

on_both!(runs_that_asked_for_publications_are_known_by_the_posts);
async fn runs_that_asked_for_publications_are_known_by_the_posts(db: Db) {
    let workspace = db.workspace().await;
    let account = db.account(workspace, "ann").await;
    let (post, other) = (db.post(workspace, "a").await, db.post(workspace, "b").await);
    let asked: RunId = id();
    let mut tx = db.begin().await;
    for (post, run) in [(&post, Some(asked)), (&other, None)] {
        let row = publication(&account, post.id);
        publications::insert_missing(&mut tx, &row, &post.content, run, "/steps/0", NOW)
            .await
            .unwrap();
    }
    tx.commit().await.unwrap();
    let of = async |posts: &[PostId]| run_ways::publishers(&mut db.read(), posts).await.unwrap();
    assert_eq!(of(&[post.id, other.id]).await, [asked].into());
    assert!(of(&[other.id]).await.is_empty());
}

on_both!(a_run_that_is_let_go_leaves_its_start_and_its_way);
async fn a_run_that_is_let_go_leaves_its_start_and_its_way(db: Db) {
    let (workspace, elsewhere) = (db.workspace().await, db.workspace().await);
    let causes: Vec<Event> = (0..4).map(|n| event(workspace, &format!("{n}"))).collect();
    let rule: RuleId = id();
    let all: Vec<Run> = causes
        .iter()
        .zip(1..)
        .map(|(cause, end)| run(cause, rule, RunState::Finished, end))
        .collect();
    store(
        &db,
        &causes.iter().collect::<Vec<_>>(),
        &all.iter().collect::<Vec<_>>(),
    )
    .await;
    let found = finished(&db, &START(), 9, 10).await;
    let mut read = db.read();
    let ids: Vec<RunId> = all.iter().map(|run| run.id).collect();
    let weights = runs::weigh_memos(&mut read, &ids).await.unwrap();
    assert_eq!(weights.len(), 4);
    assert!(
        weights
            .iter()
            .all(|(_, (memos, chars))| *memos == 1 && *chars > 10)
    );
    let mut there = runs::list_there(&mut read, workspace, &ids).await.unwrap();
    there.sort();
    assert_eq!(there, {
        let mut ids = ids.clone();
        ids.sort();
        ids
    });
    let foreign = runs::list_there(&mut read, elsewhere, &ids).await;
    assert_eq!(foreign.unwrap(), []);
    assert_eq!(
        runs::list_memos_of(&mut read, &ids[..1]).await.unwrap(),
        [(ids[0], Some(memo("/steps/0")))]
    );

    let mut tx = db.begin().await;
    let mut usual = way(workspace, rule, 7, 1);
    run_ways::put_many(&mut tx, &[usual.clone(), way(workspace, rule, 8, 5)])
        .await
        .unwrap();
    (usual.seen, usual.let_go, usual.let_go_at) = (4, 3, Some(at(2)));
    run_ways::put_many(&mut tx, &[usual.clone()]).await.unwrap();
    let gone: Vec<(&Finished, i64)> = found[..3].iter().map(|found| (found, 7)).collect();
    run_ways::let_go(&mut tx, &gone).await.unwrap();
    tx.commit().await.unwrap();

    assert_eq!(
        runs::find(&mut read, workspace, ids[0]).await.unwrap(),
        None
    );
    let kept = runs::find(&mut read, workspace, ids[3]).await.unwrap();
    assert_eq!(kept.as_ref(), Some(&all[3]));
    let memos = runs::list_memos_of(&mut read, &ids).await.unwrap();
    assert_eq!(memos.len(), 1, "memos go with their run");
    assert_eq!(
        run_ways::find_many(&mut read, &[7, 9]).await.unwrap(),
        [usual.clone()]
    );
    let listed = run_ways::list(&mut read, workspace, rule, 10)
        .await
        .unwrap();
    let numbers: Vec<i64> = listed.iter().map(|way| way.way).collect();
    assert_eq!(numbers, [8, 7], "the last one gone comes first");
    for (of, version, expected) in [(workspace, 1, 2), (workspace, 2, 0), (elsewhere, 1, 0)] {
        let count = run_ways::count(&mut read, of, rule, version).await;
        assert_eq!(count.unwrap(), expected);
    }

    let asked: Vec<EventId> = causes.iter().map(|cause| cause.id).collect();
    let starts = run_ways::starts_on(&mut read, workspace, &asked).await;
    let starts = starts.unwrap();
    assert_eq!(starts.len(), 3);
    let first = starts.iter().find(|start| start.event == causes[0].id);
    let first = first.unwrap();
    assert_eq!(
        (first.rule, first.version, first.trigger.as_str(), first.at),
        (rule, 1, "t", at(0))
    );
    assert_eq!(first.way, way_name(7));
    let latest = run_ways::latest_starts(&mut read, workspace, rule, 3).await;
    assert_eq!(latest.unwrap(), [at(3), at(2), at(1)]);
    for (since, expected) in [(-1, 4), (0, 3), (2, 1), (3, 0)] {
        let count = run_ways::count_starts_since(&mut read, workspace, rule, at(since)).await;
        assert_eq!(count.unwrap(), expected, "since {since}");
    }
    // Nobody else's.
    let foreign = run_ways::starts_on(&mut read, elsewhere, &asked).await;
    assert!(foreign.unwrap().is_empty());
    let foreign = run_ways::list(&mut read, elsewhere, rule, 10).await;
    assert!(foreign.unwrap().is_empty());
    let foreign = run_ways::latest_starts(&mut read, elsewhere, rule, 3).await;
    assert!(foreign.unwrap().is_empty());

    let mut tx = db.begin().await;
    assert_eq!(
        events::prune(&mut tx, at(1), None, 10).await.unwrap(),
        (3, None)
    );
    let starts = run_ways::starts_on(&mut tx, workspace, &asked).await;
    assert!(starts.unwrap().is_empty(), "gone with the event");
    assert_eq!(run_ways::prune(&mut tx, at(1), 10).await.unwrap(), 0);
    assert_eq!(run_ways::prune(&mut tx, at(2), 10).await.unwrap(), 1);
    tx.commit().await.unwrap();
}

on_both!(what_is_not_there_or_not_finished_is_not_let_go);
async fn what_is_not_there_or_not_finished_is_not_let_go(db: Db) {
    let workspace = db.workspace().await;
    let cause = event(workspace, "1");
    let done = run(&cause, id(), RunState::Finished, 1);
    store(&db, &[&cause], &[&done]).await;
    let found = finished(&db, &START(), 9, 10).await;
    for change in [
        "UPDATE runs SET state = 'failed' WHERE id = $1",
        "DELETE FROM runs WHERE id = $1",
    ] {
        let mut tx = db.begin().await;
        tx.run(change, so_store::args![done.id]).await.unwrap();
        let gone = run_ways::let_go(&mut tx, &[(&found[0], 7)]).await;
        assert!(is_stale(gone), "{change}");
        tx.rollback().await.unwrap();
    }
    let kept = runs::find(&mut db.read(), workspace, done.id).await;
    assert!(kept.unwrap().is_some());
}
