//! The unit of work: durable together, undone alone, never stuck.

use std::task::Poll;

use so_store::{Store, StoreOptions, instance, jobs, posts};
use so_testkit::{counterpart::or_skip, postgres::PostgresCluster};
use tokio::task::JoinSet;

use crate::support::{Db, NOW, at, id, is_conflict, on_both};

on_both!(a_hundred_concurrent_transactions_are_all_durable);
async fn a_hundred_concurrent_transactions_are_all_durable(db: Db) {
    let mut tasks = JoinSet::new();
    for n in 0..100 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            instance::set(&mut tx, &format!("fact {n}"), "kept")
                .await
                .unwrap();
            tx.commit().await.unwrap();
            // Whoever was answered finds the row with a connection of its own.
            let mut reader = store.clone();
            let found = instance::get(&mut reader, &format!("fact {n}")).await;
            assert_eq!(found.unwrap().as_deref(), Some("kept"));
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    db.store.close().await.unwrap();
    let mut again = Store::open(&db.options).await.unwrap();
    for n in 0..100 {
        let found = instance::get(&mut again, &format!("fact {n}")).await;
        assert_eq!(found.unwrap().as_deref(), Some("kept"), "fact {n}");
    }
}

on_both!(a_zero_character_is_stored_as_what_stands_for_it);
async fn a_zero_character_is_stored_as_what_stands_for_it(db: Db) {
    let mut tx = db.begin().await;
    instance::set(&mut tx, "zero\0key", "a\0b\0").await.unwrap();
    tx.commit().await.unwrap();
    // The same text finds it, and so does the one that was stored.
    for key in ["zero\0key", "zero\u{fffd}key"] {
        let found = instance::get(&mut db.read(), key).await.unwrap();
        assert_eq!(found.as_deref(), Some("a\u{fffd}b\u{fffd}"), "{key:?}");
    }
    let workspace = db.workspace().await;
    let post = db.post(workspace, "a\0b").await;
    let found = posts::find(&mut db.read(), workspace, post.id).await;
    assert!(found.unwrap().is_some());
}

on_both!(a_dropped_transaction_leaves_nothing);
async fn a_dropped_transaction_leaves_nothing(db: Db) {
    let mut tx = db.begin().await;
    instance::set(&mut tx, "dropped", "x").await.unwrap();
    drop(tx);
    let mut tx = db.begin().await;
    instance::set(&mut tx, "rolled back", "x").await.unwrap();
    tx.rollback().await.unwrap();
    let mut tx = db.begin().await;
    assert_eq!(instance::get(&mut tx, "dropped").await.unwrap(), None);
    assert_eq!(instance::get(&mut tx, "rolled back").await.unwrap(), None);
    instance::set(&mut tx, "after", "x").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(
        instance::get(&mut db.read(), "dropped").await.unwrap(),
        None
    );
    assert!(
        instance::get(&mut db.read(), "after")
            .await
            .unwrap()
            .is_some()
    );
}

on_both!(an_error_in_one_transaction_leaves_its_neighbours_alone);
async fn an_error_in_one_transaction_leaves_its_neighbours_alone(db: Db) {
    db.user("taken@example.org").await;
    let mut tasks = JoinSet::new();
    for n in 0..60 {
        let store = db.store.clone();
        tasks.spawn(async move {
            let mut tx = store.begin().await.unwrap();
            instance::set(&mut tx, &format!("fact {n}"), "kept")
                .await
                .unwrap();
            if n % 3 == 0 {
                let user = so_model::workspace::User {
                    id: id(),
                    email: "taken@example.org".into(),
                    name: String::new(),
                    created_at: NOW,
                };
                assert!(is_conflict(
                    so_store::users::insert(&mut tx, &user, "").await
                ));
            } else {
                tx.commit().await.unwrap();
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    for n in 0..60 {
        let found = instance::get(&mut db.read(), &format!("fact {n}"))
            .await
            .unwrap();
        assert_eq!(found.is_some(), n % 3 != 0, "fact {n}");
    }
}

/// Runs a work until it has been polled so often, then drops it where it is.
async fn cut_off<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let (mut work, mut left) = (Box::pin(work), polls);
    std::future::poll_fn(move |context| {
        left -= 1;
        match work.as_mut().poll(context) {
            Poll::Ready(value) => Poll::Ready(Some(value)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

async fn put_fact(store: &Store, name: &str) -> so_store::Result<()> {
    let mut tx = store.begin().await?;
    instance::set(&mut tx, name, "kept").await?;
    tx.commit().await
}

on_both!(callers_that_give_up_do_not_disturb_the_others);
async fn callers_that_give_up_do_not_disturb_the_others(db: Db) {
    // More polls than a transaction needs, so that it is cut at every point.
    for polls in 1..=40 {
        let cut = format!("cut after {polls}");
        let neighbours: Vec<String> = (0..4).map(|n| format!("{n} beside {polls}")).collect();
        let mut tasks = JoinSet::new();
        for name in neighbours.clone() {
            let store = db.store.clone();
            tasks.spawn(async move { put_fact(&store, &name).await });
        }
        let answered = cut_off(polls, put_fact(&db.store, &cut)).await;
        for result in tasks.join_all().await {
            result.unwrap();
        }
        for name in &neighbours {
            let found = instance::get(&mut db.read(), name).await.unwrap();
            assert!(found.is_some(), "{name} was lost");
        }
        // One that was cut off may be there or not; one that was answered is.
        if let Some(result) = answered {
            result.unwrap();
            let found = instance::get(&mut db.read(), &cut).await.unwrap();
            assert!(found.is_some(), "{cut} was lost");
        }
    }
    put_fact(&db.store, "after").await.unwrap();
}

on_both!(a_step_is_undone_without_the_work_before_it);
async fn a_step_is_undone_without_the_work_before_it(db: Db) {
    let workspace = db.workspace().await;
    let mut tx = db.begin().await;
    instance::set(&mut tx, "before", "x").await.unwrap();
    tx.savepoint().await.unwrap();
    instance::set(&mut tx, "undone", "x").await.unwrap();
    let job = jobs::Job {
        id: id(),
        workspace,
        kind: "run".into(),
        subject: "a".into(),
        epoch: 1,
        tries: 1,
    };
    jobs::insert_claimed(&mut tx, std::slice::from_ref(&job), "me", NOW, at(60))
        .await
        .unwrap();
    // The error would end the whole transaction on PostgreSQL.
    assert!(is_conflict(
        jobs::insert_claimed(&mut tx, std::slice::from_ref(&job), "me", NOW, at(60)).await
    ));
    tx.undo_to_savepoint().await.unwrap();
    tx.savepoint().await.unwrap();
    instance::set(&mut tx, "kept", "x").await.unwrap();
    tx.keep_savepoint().await.unwrap();
    tx.commit().await.unwrap();
    for (name, expected) in [("before", true), ("undone", false), ("kept", true)] {
        let found = instance::get(&mut db.read(), name).await.unwrap();
        assert_eq!(found.is_some(), expected, "{name}");
    }
}

on_both!(a_write_outside_a_transaction_is_refused);
async fn a_write_outside_a_transaction_is_refused(db: Db) {
    use so_store::Sql as _;
    let refused = db.read().run("DELETE FROM instance", vec![]).await;
    assert!(refused.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_sqlite_made_in_use_is_whole() {
    let db = Db::sqlite().await;
    let mut tx = db.begin().await;
    instance::set(&mut tx, "fact", "x").await.unwrap();
    tx.commit().await.unwrap();
    let target = db.folder.as_ref().unwrap().path().join("copy.db");
    let open = db.begin().await;
    db.store.backup_sqlite(&target).await.unwrap();
    drop(open);
    let options = StoreOptions::at(format!("sqlite:{}", target.display()));
    let mut copy = Store::open(&options).await.unwrap();
    assert!(instance::get(&mut copy, "fact").await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_closed_sqlite_takes_no_more_work() {
    let db = Db::sqlite().await;
    db.store.close().await.unwrap();
    assert!(db.store.begin().await.is_err_and(|e| e.is_transient()));
    db.store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_sqlite_answered_survives_the_end_of_the_process() {
    let db = Db::sqlite().await;
    put_fact(&db.store, "answered").await.unwrap();
    let mut open = db.begin().await;
    instance::set(&mut open, "unanswered", "x").await.unwrap();
    // A killed process leaves the files as they are at this moment.
    let target = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(db.folder.as_ref().unwrap().path()).unwrap() {
        let file = file.unwrap();
        if !file.file_name().to_string_lossy().ends_with("-shm") {
            std::fs::copy(file.path(), target.path().join(file.file_name())).unwrap();
        }
    }
    let mut after = Store::open(&StoreOptions::in_folder(target.path()))
        .await
        .unwrap();
    let found = instance::get(&mut after, "answered").await.unwrap();
    assert_eq!(found.as_deref(), Some("kept"));
    let found = instance::get(&mut after, "unanswered").await.unwrap();
    assert_eq!(found, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgres_that_crashed_and_came_back_has_what_it_answered() {
    let test = "a_postgres_that_crashed_and_came_back_has_what_it_answered";
    let started = tokio::task::block_in_place(PostgresCluster::start);
    let Some(cluster) = or_skip(test, started) else {
        return;
    };
    let mut store = Store::open(&StoreOptions::at(cluster.url())).await.unwrap();
    put_fact(&store, "answered").await.unwrap();
    let mut open = store.begin().await.unwrap();
    instance::set(&mut open, "unanswered", "x").await.unwrap();
    // The children too: one that outlives the server for a moment would still take the next statement.
    tokio::task::block_in_place(|| cluster.crash_all()).unwrap();
    let cut = instance::set(&mut open, "cut", "x").await;
    assert!(cut.is_err_and(|error| error.is_transient()));
    drop(open);
    tokio::task::block_in_place(|| cluster.restart()).unwrap();
    // The same store goes on by itself.
    for (name, expected) in [("answered", true), ("unanswered", false), ("cut", false)] {
        let found = instance::get(&mut store, name).await.unwrap();
        assert_eq!(found.is_some(), expected, "{name}");
    }
    put_fact(&store, "after").await.unwrap();
}
