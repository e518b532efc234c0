//! Waits of runs for events, and the wish to end a run.

use std::collections::HashMap;

use so_model::{
    event::Event,
    id::{RunId, WorkspaceId},
    run::RunState,
};
use so_store::{events, events::NewRow, runs, waits, waits::Wait};

use crate::support::{Db, NOW, at, event, id, on_both, run};

fn wait(run: RunId, workspace: WorkspaceId, path: &str, subject: Option<&str>) -> Wait {
    Wait {
        run,
        path: path.into(),
        workspace,
        kind: event(workspace, "x").kind,
        subject: subject.map(Into::into),
    }
}

on_both!(the_statement_that_stores_an_event_tells_whether_anybody_waits);
async fn the_statement_that_stores_an_event_tells_whether_anybody_waits(db: Db) {
    let (workspace, other) = (db.workspace().await, db.workspace().await);
    let waiting = run(&db, workspace).await;
    let mut tx = db.begin().await;
    waits::put(&mut tx, &wait(waiting, workspace, "/steps/0", None))
        .await
        .unwrap();
    let mut elsewhere = event(workspace, "3");
    elsewhere.kind = "another.kind".into();
    let rows = [event(workspace, "1"), event(other, "2"), elsewhere];
    let stored = |events: &[Event]| {
        let rows = events.iter().map(|one| NewRow::of(one, true, NOW).unwrap());
        rows.collect::<Vec<_>>()
    };
    let told = events::insert_and_look(&mut tx, stored(&rows)).await;
    let waited_for = [(rows[0].id, true), (rows[1].id, false), (rows[2].id, false)];
    assert_eq!(told.unwrap(), HashMap::from(waited_for));
    let told = events::insert_and_look(&mut tx, stored(&rows[..1])).await;
    assert_eq!(told.unwrap(), HashMap::new());
    // Once it is met, nobody waits.
    assert!(
        waits::meet(&mut tx, waiting, "/steps/0", rows[0].id)
            .await
            .unwrap()
    );
    let next = event(workspace, "4");
    let told = events::insert_and_look(&mut tx, stored(std::slice::from_ref(&next))).await;
    assert_eq!(told.unwrap(), HashMap::from([(next.id, false)]));
    tx.commit().await.unwrap();
}

on_both!(a_wait_is_met_or_given_up_and_never_both);
async fn a_wait_is_met_or_given_up_and_never_both(db: Db) {
    let workspace = db.workspace().await;
    let waiting = run(&db, workspace).await;
    let came: so_model::id::EventId = id();
    let mut tx = db.begin().await;
    for path in ["/steps/0", "/steps/1"] {
        waits::put(&mut tx, &wait(waiting, workspace, path, None))
            .await
            .unwrap();
    }
    assert!(
        waits::meet(&mut tx, waiting, "/steps/0", came)
            .await
            .unwrap()
    );
    assert!(
        !waits::meet(&mut tx, waiting, "/steps/0", id())
            .await
            .unwrap()
    );
    assert!(!waits::give_up(&mut tx, waiting, "/steps/0").await.unwrap());
    assert!(waits::give_up(&mut tx, waiting, "/steps/1").await.unwrap());
    assert!(
        !waits::meet(&mut tx, waiting, "/steps/1", came)
            .await
            .unwrap()
    );
    assert_eq!(
        waits::take_met(&mut tx, waiting, "/steps/0").await.unwrap(),
        Some(came)
    );
    assert_eq!(
        waits::take_met(&mut tx, waiting, "/steps/0").await.unwrap(),
        None
    );
    tx.commit().await.unwrap();
}

on_both!(waits_are_found_by_their_subject_or_without_one);
async fn waits_are_found_by_their_subject_or_without_one(db: Db) {
    let workspace = db.workspace().await;
    let waiting = run(&db, workspace).await;
    let any = wait(waiting, workspace, "/steps/0", None);
    let one = wait(waiting, workspace, "/steps/1", Some("one"));
    let two = wait(waiting, workspace, "/steps/1/each/0/0", Some("two"));
    let mut tx = db.begin().await;
    for wait in [&any, &one, &two] {
        waits::put(&mut tx, wait).await.unwrap();
    }
    for (subject, expected) in [
        (None, vec![&any]),
        (Some("one"), vec![&any, &one]),
        (Some("three"), vec![&any]),
    ] {
        let found = waits::list(&mut tx, workspace, &any.kind, subject, 9)
            .await
            .unwrap();
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{subject:?}");
    }
    assert_eq!(waits::count(&mut tx, &one, 9).await.unwrap(), 1);
    waits::delete_below(&mut tx, waiting, "/steps/1")
        .await
        .unwrap();
    let left = waits::list(&mut tx, workspace, &any.kind, Some("two"), 9).await;
    assert_eq!(left.unwrap(), [any]);
    tx.commit().await.unwrap();
}

on_both!(a_wish_to_end_a_run_is_not_overwritten_by_a_wait);
async fn a_wish_to_end_a_run_is_not_overwritten_by_a_wait(db: Db) {
    let workspace = db.workspace().await;
    let id = run(&db, workspace).await;
    let mut tx = db.begin().await;
    for (state, changes) in [
        (RunState::Cancelling, true),
        (RunState::Waiting, false),
        (RunState::Cancelling, false),
        (RunState::Cancelled, true),
        (RunState::Running, false),
    ] {
        let changed = runs::set_state(&mut tx, workspace, id, state, None, at(1)).await;
        assert_eq!(changed.unwrap(), changes, "{state:?}");
        assert!(!runs::is_active(&mut tx, workspace, id).await.unwrap());
    }
    tx.commit().await.unwrap();
}
