//! What happened, read page by page with what came of it.

use std::collections::BTreeMap;

use serde_json::json;
use so_model::{
    event::{Cause, Event},
    id::{RunId, WorkspaceId},
    publication::PublicationState,
    run::{ConditionTrace, Decision, Memo, Run, RunState, StepOutcome, Verdict},
    why::Recorded,
};
use so_store::{
    decisions,
    decisions::NewDecision,
    events, history, publications,
    run_ways::{self, Finished, FinishedCause, WayRow},
    runs,
};

use crate::support::{Db, NOW, at, event, id, on_both};

async fn lived(db: &Db, workspace: WorkspaceId, dedupe: &str) -> (Event, Run) {
    let mut happened = event(workspace, dedupe);
    happened.cause = Cause {
        depth: 1,
        ..Cause::default()
    };
    let run = Run {
        id: id(),
        workspace,
        rule: id(),
        version: 1,
        event: happened.id,
        trigger: "t".into(),
        state: RunState::Finished,
        key: String::new(),
        decision: ConditionTrace::unconditional(),
        reason: None,
        created_at: NOW,
        finished_at: Some(at(1)),
    };
    let memo = Memo {
        path: "/steps/0".into(),
        step: "say".into(),
        attempt: 1,
        outcome: StepOutcome::Done,
        input: json!({"text": dedupe}),
        output: json!({}),
        error: None,
        condition: None,
        started_at: NOW,
        finished_at: Some(NOW),
    };
    let refused = |rule, seen| NewDecision {
        workspace,
        event: happened.id,
        at: NOW,
        decision: Decision {
            rule,
            version: 1,
            trigger: "t".into(),
            verdict: Verdict::ConditionFailed,
            trace: None,
            reason: "no".into(),
        },
        seen,
    };
    let saw = Recorded {
        facts: BTreeMap::from([("queue_length:{}".into(), json!(3))]),
        ..Recorded::default()
    };
    let told = [refused(run.rule, Some(saw)), refused(id(), None)];
    let mut tx = db.begin().await;
    events::insert(&mut tx, &happened, true, at(7))
        .await
        .unwrap();
    runs::insert(&mut tx, &run).await.unwrap();
    runs::put_memo(&mut tx, workspace, run.id, &memo)
        .await
        .unwrap();
    decisions::insert_many(&mut tx, &told).await.unwrap();
    tx.commit().await.unwrap();
    (happened, run)
}

on_both!(the_past_is_read_page_by_page_with_what_came_of_it);
async fn the_past_is_read_page_by_page_with_what_came_of_it(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let first = lived(&db, workspace, "1").await;
    lived(&db, other, "foreign").await;
    let second = lived(&db, workspace, "2").await;
    let span = (at(-3600), at(3600));
    let read = async |span, after, limit| {
        let page = history::page(&mut db.read(), workspace, span, after, limit).await;
        page.unwrap()
    };
    let page = read(span, None, 1).await;
    assert_eq!(page.events, [(first.0.clone(), at(7))]);
    assert_eq!(page.runs, std::slice::from_ref(&first.1));
    let memos: Vec<(RunId, _)> = page
        .memos
        .iter()
        .map(|(run, memo)| (*run, &memo.input))
        .collect();
    assert_eq!(memos, [(first.1.id, &json!({"text": "1"}))]);
    assert_eq!(
        page.seen.len(),
        1,
        "of refusals that saw nothing, nothing is read"
    );
    assert_eq!((page.seen[0].0, page.seen[0].1), (first.0.id, first.1.rule));
    let page = read(span, page.next, 2).await;
    assert_eq!((page.events.len(), page.next), (1, None));
    assert_eq!(page.runs, std::slice::from_ref(&second.1));
    // Both at once: what belongs to the foreign event between them is not among it.
    let page = read(span, None, 10).await;
    assert_eq!((page.events.len(), page.runs.len()), (2, 2));
    assert_eq!((page.memos.len(), page.seen.len()), (2, 2));
    let later = read((at(3600), at(7200)), None, 10).await;
    assert!(later.events.is_empty() && later.runs.is_empty());
}

on_both!(starts_whose_runs_were_let_go_are_read_with_their_events);
async fn starts_whose_runs_were_let_go_are_read_with_their_events(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let mut gone = Vec::new();
    for workspace in [workspace, other] {
        let (happened, run) = lived(&db, workspace, "1").await;
        let way = i64::from(workspace == other);
        let row = WayRow {
            way,
            workspace,
            rule: run.rule,
            version: 1,
            trigger: "t".into(),
            steps: None,
            seen: 1,
            let_go: 1,
            week: 0,
            kept_in_week: 0,
            kept: Vec::new(),
            first_at: run.created_at,
            last_at: run.created_at,
            let_go_at: Some(run.created_at),
        };
        let finished = Finished {
            run: run.id,
            workspace,
            rule: run.rule,
            version: 1,
            trigger: "t".into(),
            event: happened.id,
            cause: Some(FinishedCause {
                root: happened.id,
                subject: None,
                dedupe: "1".into(),
            }),
            created_at: run.created_at,
            finished_at: at(1),
        };
        let mut tx = db.begin().await;
        run_ways::put_many(&mut tx, &[row]).await.unwrap();
        run_ways::let_go(&mut tx, &[(&finished, way)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
        gone.push((happened.id, run.rule, run.created_at));
    }
    let span = (at(-3600), at(3600));
    let page = history::page(&mut db.read(), workspace, span, None, 10).await;
    let page = page.unwrap();
    assert_eq!((page.runs.len(), page.memos.len()), (0, 0));
    assert_eq!(page.let_go, [gone[0]]);
}

on_both!(moments_of_publishing_are_read_for_one_workspace);
async fn moments_of_publishing_are_read_for_one_workspace(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let account = db.account(workspace, "ann").await;
    let post = db.post(workspace, "text").await;
    let mut live = db.publication(&account, post.id).await;
    let mut tx = db.begin().await;
    let (from, epoch) = (live.state, live.epoch);
    live.state = PublicationState::Published;
    live.published_at = Some(at(5));
    publications::transition(&mut tx, &live, from, epoch, "live", NOW)
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let read = async |workspace, from, until| {
        let found = history::published(&mut db.read(), workspace, (at(from), at(until)), 10).await;
        found.unwrap()
    };
    assert_eq!(read(workspace, 5, 6).await, [(account.id, at(5), true)]);
    assert!(read(workspace, 0, 5).await.is_empty());
    assert!(read(other, 0, 10).await.is_empty());
}
