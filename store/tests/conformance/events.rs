//! Lists of events where ids, kinds and sources make it hard.

use so_model::{
    event::{Event, kind::WEBHOOK_RECEIVED},
    id::{EventId, HookId, WorkspaceId},
    time::Timestamp,
};
use so_store::{Sql as _, Tx, events, hooks};

use crate::support::{Db, NOW, at, event, hook, id, id_at, on_both};

async fn store(tx: &mut Tx, event: &Event) {
    assert!(events::insert(tx, event, true, NOW).await.unwrap());
}

async fn listed(db: &Db, workspace: WorkspaceId, kind: &str, before: &str) -> Vec<EventId> {
    let found = events::list(&mut db.read(), workspace, kind, "", before, 99).await;
    found.unwrap().iter().map(|event| event.id).collect()
}

/// An event whose id begins as all ids of its moment do.
fn at_moment(workspace: WorkspaceId, name: &str, moment: Timestamp) -> Event {
    Event {
        id: id_at(moment),
        ..event(workspace, name)
    }
}

on_both!(events_of_one_millisecond_are_listed_each);
async fn events_of_one_millisecond_are_listed_each(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let mut tx = db.begin().await;
    let mut all = Vec::new();
    for n in 0..40 {
        let of = if n % 3 == 1 { foreign } else { workspace };
        let made = at_moment(of, &n.to_string(), at(n / 10));
        store(&mut tx, &made).await;
        all.push(made);
    }
    tx.commit().await.unwrap();
    all.retain(|event| event.workspace == workspace);
    all.reverse();
    let ids: Vec<EventId> = all.iter().map(|event| event.id).collect();
    assert_eq!(listed(&db, workspace, "", "").await, ids);
    for (n, id) in ids.iter().enumerate() {
        let rest = listed(&db, workspace, "", &id.to_string()).await;
        assert_eq!(rest, ids[n + 1..]);
    }
    let few = events::list(&mut db.read(), workspace, "", "", "", 3).await;
    let few: Vec<EventId> = few.unwrap().iter().map(|event| event.id).collect();
    assert_eq!(few, ids[..3]);
}

on_both!(what_one_event_leaves_takes_none_of_the_same_millisecond_along);
async fn what_one_event_leaves_takes_none_of_the_same_millisecond_along(db: Db) {
    let (workspace, foreign) = (db.workspace().await, db.workspace().await);
    let [a, b] = ["a", "b"].map(|name| at_moment(workspace, name, NOW));
    let c = at_moment(foreign, "c", NOW);
    let mut tx = db.begin().await;
    for event in [&a, &b, &c] {
        store(&mut tx, event).await;
    }
    tx.run("DELETE FROM events WHERE id = $1", vec![a.id.into()])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert_eq!(listed(&db, workspace, "", "").await, [b.id]);
    assert_eq!(listed(&db, foreign, "", "").await, [c.id]);
    let mut tx = db.begin().await;
    tx.run("DELETE FROM events WHERE id = $1", vec![b.id.into()])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    assert!(listed(&db, workspace, "", "").await.is_empty());
    assert_eq!(listed(&db, foreign, "", "").await, [c.id]);
}

on_both!(kinds_are_told_apart_to_the_letter);
async fn kinds_are_told_apart_to_the_letter(db: Db) {
    let workspace = db.workspace().await;
    let kinds = [
        "a",
        "A",
        "a.b",
        "a/b",
        "a b",
        "ä",
        "a\"b",
        "a*",
        "webhook.received",
    ];
    let mut tx = db.begin().await;
    let mut made = Vec::new();
    for kind in kinds {
        let mut event = event(workspace, kind);
        event.kind = kind.into();
        store(&mut tx, &event).await;
        made.push(event.id);
    }
    tx.commit().await.unwrap();
    for (kind, id) in kinds.iter().zip(&made) {
        assert_eq!(listed(&db, workspace, kind, "").await, [*id], "{kind}");
    }
    for none in ["", "zzz", "evt_", "evt_0z", "run_1", "acct_1"] {
        let expected = if none.is_empty() || none > "evt_0" {
            made.len()
        } else {
            0
        };
        let found = listed(&db, workspace, "", none).await;
        assert_eq!(found.len(), expected, "before {none:?}");
    }
}

on_both!(old_events_go_whatever_is_kept_among_them);
async fn old_events_go_whatever_is_kept_among_them(db: Db) {
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    let mut kept = Vec::new();
    for n in 0..6 {
        let hook = hook(workspace, &format!("h{n}"));
        hooks::insert(&mut tx, &hook).await.unwrap();
        // The second call of each is its latest.
        for call in 0..2 {
            let mut made = at_moment(workspace, &format!("{n} {call}"), at(n));
            made.kind = WEBHOOK_RECEIVED.into();
            made.source = format!("hook/{}", hook.id);
            store(&mut tx, &made).await;
            if call == 1 {
                kept.insert(0, made.id);
            }
        }
    }
    let gone: HookId = id();
    let mut orphan = event(workspace, "of a hook that is gone");
    orphan.source = format!("hook/{gone}");
    store(&mut tx, &orphan).await;
    tx.commit().await.unwrap();
    let (mut mark, mut removed, mut rounds) = (None, 0, 0);
    loop {
        let mut tx = db.begin().await;
        let (some, next) = events::prune(&mut tx, at(99), mark, 2).await.unwrap();
        tx.commit().await.unwrap();
        (mark, removed, rounds) = (next, removed + some, rounds + 1);
        if mark.is_none() {
            break;
        }
    }
    assert_eq!((removed, rounds), (7, 7), "each is looked at once");
    assert_eq!(listed(&db, workspace, "", "").await, kept);
}

on_both!(what_was_undone_is_not_listed_and_takes_nothing_along);
async fn what_was_undone_is_not_listed_and_takes_nothing_along(db: Db) {
    let workspace = db.workspace().await;
    let [a, b, c, d] = ["a", "b", "c", "d"].map(|name| event(workspace, name));
    let mut tx = db.begin().await;
    store(&mut tx, &a).await;
    tx.savepoint().await.unwrap();
    store(&mut tx, &b).await;
    tx.undo_to_savepoint().await.unwrap();
    store(&mut tx, &c).await;
    tx.commit().await.unwrap();
    let mut tx = db.begin().await;
    store(&mut tx, &d).await;
    tx.rollback().await.unwrap();
    assert_eq!(listed(&db, workspace, "", "").await, [c.id, a.id]);
    // Nothing is left of it that would come back with the next.
    let mut tx = db.begin().await;
    store(&mut tx, &d).await;
    tx.commit().await.unwrap();
    assert_eq!(listed(&db, workspace, "", "").await, [d.id, c.id, a.id]);
}
