//! A workspace's rows are copied as they are into a database in memory, and another workspace's are not.

use serde_json::json;
use so_model::{id::RuleId, post::PostState, run::RunState, time::SECOND};
use so_store::{
    Store, accounts, events, posts, queue_slots, queues,
    run_ways::{self, Finished, FinishedCause, WayRow},
    runs, snapshot as copy, timers, workspaces,
};

use crate::support::{Db, NOW, at, event, id, on_both, post, run};

/// More than there is.
const ALL: i64 = 100;

on_both!(a_workspace_is_copied_as_it_is_and_no_other_one);
async fn a_workspace_is_copied_as_it_is_and_no_other_one(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let ann = db.account(mine, "ann").await;
    db.account(theirs, "bob").await;
    let mut due = post(mine, "mine");
    (due.state, due.due_at) = (PostState::Scheduled, Some(at(10)));
    let mut other = post(theirs, "theirs");
    (other.state, other.due_at) = (PostState::Scheduled, Some(at(10)));
    let queue = queues::Queue {
        id: id(),
        workspace: mine,
        name: "Main".into(),
        is_paused: true,
        generation: 3,
        doc: queues::QueueDoc::default(),
        created_at: NOW,
    };
    let happened = event(mine, "a");
    let open = run(&db, mine).await;
    run(&db, mine).await;
    run(&db, theirs).await;
    let open = runs::find(&mut db.read(), mine, open)
        .await
        .unwrap()
        .unwrap();
    let timer = timers::Timer {
        id: id(),
        workspace: mine,
        kind: "post".into(),
        subject: due.id.to_string(),
        slot: String::new(),
        generation: 1,
        due_at: at(10),
        doc: json!(null),
    };
    let mut tx = db.begin().await;
    posts::insert(&mut tx, &due).await.unwrap();
    posts::insert(&mut tx, &other).await.unwrap();
    queues::insert(&mut tx, &queue).await.unwrap();
    queue_slots::reserve(&mut tx, mine, queue.id, at(10), due.id)
        .await
        .unwrap();
    events::insert(&mut tx, &happened, true, NOW).await.unwrap();
    timers::put(&mut tx, &timer).await.unwrap();
    tx.commit().await.unwrap();

    let store = Store::in_memory().await.unwrap();
    let mut to = store.begin().await.unwrap();
    let mut from = db.read();
    let from = &mut from;
    copy::workspace(from, &mut to, mine, 1).await.unwrap();
    copy::accounts(from, &mut to, mine, ALL).await.unwrap();
    copy::queues(from, &mut to, mine, ALL).await.unwrap();
    copy::slots(from, &mut to, mine, NOW, ALL).await.unwrap();
    let until = NOW.plus(60 * SECOND);
    let found = copy::posts_due(from, &mut to, mine, NOW, until, ALL).await;
    assert_eq!(found.unwrap().len(), 1);
    let ids = [due.id.to_string(), other.id.to_string()];
    copy::posts(from, &mut to, mine, &ids).await.unwrap();
    copy::post_timers(from, &mut to, mine, &ids).await.unwrap();
    let found = copy::open_runs(from, &mut to, mine, 1).await;
    assert_eq!(found.unwrap().len(), 1, "no more than so many");
    copy::events(from, &mut to, mine, &[happened.id.to_string()])
        .await
        .unwrap();

    // Also by a reader beside the unit of work, which is never committed.
    let mut reader = store.clone();
    let house = workspaces::find(&mut reader, mine).await.unwrap();
    assert_eq!(house, workspaces::find(from, mine).await.unwrap());
    assert!(workspaces::find(&mut to, theirs).await.unwrap().is_none());
    let copied = accounts::list(&mut to, mine, "", ALL).await.unwrap();
    assert_eq!(copied, [ann]);
    let copied = queues::list(&mut to, mine, "", ALL).await.unwrap();
    assert_eq!(copied, std::slice::from_ref(&queue));
    let copied = queue_slots::list(&mut to, mine, queue.id, NOW, ALL).await;
    assert_eq!(copied.unwrap(), [(at(10), due.id)]);
    assert_eq!(posts::find(&mut to, mine, due.id).await.unwrap(), Some(due));
    assert_eq!(posts::find(&mut to, theirs, other.id).await.unwrap(), None);
    let copied = timers::claim_due(&mut to, until, ALL).await.unwrap();
    assert_eq!(copied, [timer]);
    assert_eq!(
        runs::find(&mut to, mine, open.id).await.unwrap(),
        Some(open)
    );
    let copied = events::find(&mut to, mine, happened.id).await.unwrap();
    assert_eq!(copied, Some(happened));
}

on_both!(starts_whose_runs_were_let_go_are_copied_to_be_counted);
async fn starts_whose_runs_were_let_go_are_copied_to_be_counted(db: Db) {
    let (mine, theirs) = (db.workspace().await, db.workspace().await);
    let rule: RuleId = id();
    let mut tx = db.begin().await;
    for (way, workspace) in [(1, mine), (2, theirs)] {
        let row = WayRow {
            way,
            workspace,
            rule,
            version: 1,
            trigger: "t".into(),
            steps: None,
            seen: 3,
            let_go: 3,
            week: 0,
            kept_in_week: 0,
            kept: Vec::new(),
            first_at: at(1),
            last_at: at(3),
            let_go_at: Some(at(3)),
        };
        run_ways::put_many(&mut tx, &[row]).await.unwrap();
    }
    tx.commit().await.unwrap();
    for (second, way) in [(1, 1), (2, 1), (3, 1), (3, 2)] {
        let workspace = if way == 1 { mine } else { theirs };
        let happened = event(workspace, &format!("{second}"));
        let gone = run(&db, workspace).await;
        let finished = Finished {
            run: gone,
            workspace,
            rule,
            version: 1,
            trigger: "t".into(),
            event: happened.id,
            cause: Some(FinishedCause {
                root: happened.id,
                subject: None,
                dedupe: String::new(),
            }),
            created_at: at(second),
            finished_at: at(second),
        };
        let mut tx = db.begin().await;
        events::insert(&mut tx, &happened, true, NOW).await.unwrap();
        runs::set_state(&mut tx, workspace, gone, RunState::Finished, None, at(9))
            .await
            .unwrap();
        run_ways::let_go(&mut tx, &[(&finished, way)])
            .await
            .unwrap();
        tx.commit().await.unwrap();
    }
    let store = Store::in_memory().await.unwrap();
    let mut to = store.begin().await.unwrap();
    copy::starts_let_go(&mut db.read(), &mut to, mine, &rule.to_string(), at(1))
        .await
        .unwrap();
    let count = run_ways::count_starts_since(&mut to, mine, rule, at(0)).await;
    assert_eq!(count.unwrap(), 2, "what came before is not copied");
}
