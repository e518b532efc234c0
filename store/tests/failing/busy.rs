//! Other processes at the same file: a backup, an operator's shell.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinSet;

use crate::support::{Foreign, assert_kept, log_bytes, open, put};

/// Writers side by side.
const WRITERS: usize = 64;
/// How long the other process keeps the lock, how often, and what it leaves between.
const HELD: Duration = Duration::from_secs(2);
const HOLDS: usize = 3;
const BETWEEN: Duration = Duration::from_millis(500);
/// Everybody has heard by then that the lock cannot be had.
const QUEUE_PATIENCE: Duration = Duration::from_secs(40);
/// What one unit stores; large enough that the log grows past what is kept of it.
const TEXT_BYTES: usize = 16 << 10;
/// Units of each writer at least and at the most.
const UNITS: std::ops::Range<usize> = 32..60;
/// Longest log while a reader stays.
const LOG_WHILE_READ_MAX: u64 = 256 << 20;
/// Longest log when nobody stays: what is kept, and what one round of writers adds.
const LOG_MAX: u64 = 24 << 20;
/// Longest log while readers come and go without a gap.
const LOG_WITHOUT_GAP_MAX: u64 = 80 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_storm_of_foreign_locks_reaches_no_caller() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    put(&store, "before", "x").await.unwrap();
    // A reader that stays through all of it, as a slow backup does.
    let mut reader = Foreign::connect(folder.path()).await;
    reader.run("BEGIN; SELECT * FROM instance").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let hog = {
        let (path, is_over) = (folder.path().to_path_buf(), is_over.clone());
        tokio::spawn(async move {
            let mut foreign = Foreign::connect(&path).await;
            for _ in 0..HOLDS {
                foreign.take_lock().await;
                tokio::time::sleep(HELD).await;
                foreign
                    .run("INSERT INTO instance (name, value) VALUES (hex(randomblob(8)), 'foreign'); COMMIT")
                    .await;
                tokio::time::sleep(BETWEEN).await;
            }
            is_over.store(true, Ordering::SeqCst);
        })
    };
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let (store, is_over) = (store.clone(), is_over.clone());
        tasks.spawn(async move {
            let text = "x".repeat(TEXT_BYTES);
            let mut answered = Vec::new();
            for unit in 0..UNITS.end {
                if unit >= UNITS.start && is_over.load(Ordering::SeqCst) {
                    break;
                }
                let name = format!("{writer} {unit}");
                put(&store, &name, &text).await.unwrap();
                answered.push(name);
            }
            answered
        });
    }
    let mut answered = Vec::new();
    while let Some(done) = tasks.join_next().await {
        answered.extend(done.unwrap());
        assert!(log_bytes(folder.path()) < LOG_WHILE_READ_MAX);
    }
    hog.await.unwrap();
    // This one proves nothing unless the log had a reason to be cut.
    assert!(log_bytes(folder.path()) > LOG_MAX, "too little was written");
    reader.run("COMMIT").await;
    for unit in 0..3 {
        put(&store, &format!("after {unit}"), "x").await.unwrap();
    }
    assert!(
        log_bytes(folder.path()) <= LOG_MAX,
        "the log was not cut when the reader had gone"
    );
    store.close().await.unwrap();
    assert_kept(folder.path(), &answered).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn readers_without_a_gap_do_not_let_the_log_grow() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    put(&store, "before", "x").await.unwrap();
    let is_over = Arc::new(AtomicBool::new(false));
    let turns = Arc::new(AtomicU64::new(0));
    let readers = {
        let (path, is_over, turns) = (folder.path().to_path_buf(), is_over.clone(), turns.clone());
        tokio::spawn(async move {
            let mut pair = [Foreign::connect(&path).await, Foreign::connect(&path).await];
            let read = "BEGIN; SELECT COUNT(*) FROM instance";
            pair[0].run(read).await;
            // One of the two reads at any moment, so SQLite never finds the log unused.
            while !is_over.load(Ordering::SeqCst) {
                for (comes, goes) in [(1, 0), (0, 1)] {
                    pair[comes].run(read).await;
                    tokio::time::sleep(Duration::from_millis(3)).await;
                    pair[goes].run("COMMIT").await;
                    turns.fetch_add(1, Ordering::SeqCst);
                }
            }
        })
    };
    let text = "x".repeat(256 << 10);
    let (mut answered, mut longest) = (Vec::new(), 0);
    // The log would be half as long again as the bound.
    for unit in 0..384 {
        let name = format!("unit {unit}");
        put(&store, &name, &text).await.unwrap();
        answered.push(name);
        longest = longest.max(log_bytes(folder.path()));
    }
    is_over.store(true, Ordering::SeqCst);
    readers.await.unwrap();
    assert!(turns.load(Ordering::SeqCst) > 10, "nobody read");
    assert!(
        longest <= LOG_WITHOUT_GAP_MAX,
        "the log grew to {longest} bytes"
    );
    store.close().await.unwrap();
    assert_kept(folder.path(), &answered).await;
}

#[tokio::test]
async fn a_unit_takes_the_lock_when_it_begins_and_gives_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    let mut foreign = Foreign::connect(folder.path()).await;
    // Not at its first write: a reader that becomes a writer cannot wait for the lock.
    let unit = store.begin().await.unwrap();
    assert!(foreign.try_run("BEGIN IMMEDIATE").await.is_err());
    unit.rollback().await.unwrap();
    foreign.run("BEGIN IMMEDIATE; ROLLBACK").await;
    // One that is dropped gives it back in a moment, though nobody else begins.
    drop(store.begin().await.unwrap());
    let given_back = tokio::time::timeout(QUEUE_PATIENCE, foreign.take_lock()).await;
    assert!(given_back.is_ok(), "the lock was kept");
    foreign.run("ROLLBACK").await;
    put(&store, "one", "x").await.unwrap();
    foreign.run("BEGIN IMMEDIATE; ROLLBACK").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nobody_waits_for_the_patience_of_those_before() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    put(&store, "before", "x").await.unwrap();
    let mut foreign = Foreign::connect(folder.path()).await;
    foreign.run("BEGIN IMMEDIATE").await;
    let mut tasks = JoinSet::new();
    for writer in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move { put(&store, &format!("{writer}"), "x").await });
    }
    // One after the other they would wait for ten minutes.
    let all = tokio::time::timeout(QUEUE_PATIENCE, tasks.join_all())
        .await
        .unwrap();
    assert!(
        all.iter()
            .all(|done| done.as_ref().is_err_and(|error| error.is_transient()))
    );
    foreign.run("ROLLBACK").await;
    put(&store, "after", "x").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_opens_while_somebody_else_writes() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await;
    put(&store, "one", "x").await.unwrap();
    store.close().await.unwrap();
    let mut foreign = Foreign::connect(folder.path()).await;
    foreign.run("BEGIN IMMEDIATE").await;
    let others = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        foreign.run("COMMIT").await;
    });
    let store = open(folder.path()).await;
    put(&store, "two", "x").await.unwrap();
    others.await.unwrap();
    store.close().await.unwrap();
    assert_kept(folder.path(), &["one".into(), "two".into()]).await;
}
