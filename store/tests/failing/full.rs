//! A disk without space: told clearly, nothing lost, and over as soon as there is space again.

use std::time::Duration;

use so_store::{Store, StoreError, instance};
use so_testkit::{counterpart::or_skip, power::SmallDisk};
use tokio::task::JoinSet;

use crate::support::{assert_kept, open, put};

/// Small enough to be filled in a moment.
const MEBIBYTES: u64 = 24;
/// How often the disk fills and is emptied.
const ROUNDS: usize = 5;
/// Writers side by side.
const WRITERS: usize = 32;
/// More than fit onto the disk.
const TURNS_MAX: usize = 100;
/// Longest time until a store works again after there is space.
const RECOVERY: Duration = Duration::from_secs(30);

fn disk(test: &str) -> Option<SmallDisk> {
    tokio::task::block_in_place(|| or_skip(test, SmallDisk::mount(MEBIBYTES)))
}

/// Writes side by side until somebody is refused; answers what was acknowledged.
async fn write_until_refused(store: &Store, round: usize) -> (Vec<String>, usize) {
    let (mut answered, mut refused) = (Vec::new(), 0);
    for turn in 0..TURNS_MAX {
        let mut tasks = JoinSet::new();
        for writer in 0..WRITERS {
            let store = store.clone();
            let name = format!("{round} {turn} {writer}");
            tasks.spawn(async move {
                let done = put(&store, &name, &"x".repeat(8 << 10)).await;
                (name, done)
            });
        }
        for (name, done) in tasks.join_all().await {
            match done {
                Ok(()) => answered.push(name),
                Err(error) => {
                    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
                    assert!(error.is_transient());
                    refused += 1;
                }
            }
        }
        if refused > 0 {
            break;
        }
    }
    (answered, refused)
}

async fn write_when_there_is_space(store: &Store, name: &str) {
    let works = async {
        while put(store, name, "x").await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(RECOVERY, works).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_full_disk_loses_nothing_and_is_left_behind() {
    let Some(disk) = disk("a_full_disk_loses_nothing_and_is_left_behind") else {
        return;
    };
    let store = open(disk.path()).await;
    let mut kept = Vec::new();
    for round in 0..ROUNDS {
        let before = format!("before {round}");
        put(&store, &before, "x").await.unwrap();
        disk.fill().unwrap();
        let (answered, refused) = write_until_refused(&store, round).await;
        assert!(refused > 0);
        // What there is can still be read.
        let read = instance::get(&mut store.clone(), &before).await.unwrap();
        assert_eq!(read.as_deref(), Some("x"));
        disk.empty().unwrap();
        let after = format!("after {round}");
        write_when_there_is_space(&store, &after).await;
        kept.extend(answered);
        kept.extend([before, after]);
        // Otherwise the next round would find the disk full of facts.
        let mut tx = store.begin().await.unwrap();
        for name in kept
            .drain(..)
            .filter(|name| !name.starts_with(char::is_alphabetic))
        {
            assert!(
                instance::get(&mut tx, &name).await.unwrap().is_some(),
                "{name} is lost"
            );
            instance::set(&mut tx, &name, "").await.unwrap();
        }
        tx.commit().await.unwrap();
    }
    store.close().await.unwrap();
    let names: Vec<String> = (0..ROUNDS)
        .flat_map(|round| [format!("before {round}"), format!("after {round}")])
        .collect();
    assert_kept(disk.path(), &names).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_unit_that_met_a_full_disk_cannot_go_on() {
    let Some(disk) = disk("a_unit_that_met_a_full_disk_cannot_go_on") else {
        return;
    };
    let store = open(disk.path()).await;
    put(&store, "before", "x").await.unwrap();
    disk.fill().unwrap();
    // More than SQLite's cache holds, so that a statement meets the end of the disk and not the commit.
    let mut unit = store.begin().await.unwrap();
    let text = "x".repeat(64 << 10);
    let mut failed = None;
    for n in 0..200 {
        if let Err(error) = instance::set(&mut unit, &format!("large {n}"), &text).await {
            failed = Some(error);
            break;
        }
    }
    assert!(matches!(failed, Some(StoreError::Full(_))), "{failed:?}");
    // SQLite has ended the transaction by itself: a write now would be stored at once and alone.
    disk.empty().unwrap();
    let went_on = instance::set(&mut unit, "half a unit", "x").await;
    assert!(went_on.is_err_and(|error| error.is_transient()));
    assert!(unit.commit().await.is_err());
    let mut reader = store.clone();
    for name in ["half a unit", "large 0"] {
        assert_eq!(
            instance::get(&mut reader, name).await.unwrap(),
            None,
            "{name}"
        );
    }
    put(&store, "after", "x").await.unwrap();
    store.close().await.unwrap();
    assert_kept(disk.path(), &["before".into(), "after".into()]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn neighbours_of_a_unit_that_fills_the_disk_are_told_the_truth() {
    let Some(disk) = disk("neighbours_of_a_unit_that_fills_the_disk_are_told_the_truth") else {
        return;
    };
    let store = open(disk.path()).await;
    put(&store, "before", "x").await.unwrap();
    let mut tasks = JoinSet::new();
    for n in 0..WRITERS {
        let store = store.clone();
        tasks.spawn(async move {
            let name = format!("small {n}");
            let done = put(&store, &name, "x").await;
            done.is_ok().then_some(name)
        });
    }
    let large = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut unit = store.begin().await?;
            for n in 0..600 {
                instance::set(&mut unit, &format!("large {n}"), &"x".repeat(64 << 10)).await?;
            }
            unit.commit().await
        })
    };
    let error = large.await.unwrap().unwrap_err();
    assert!(matches!(error, StoreError::Full(_)), "{error:?}");
    let answered: Vec<String> = tasks.join_all().await.into_iter().flatten().collect();
    write_when_there_is_space(&store, "after").await;
    store.close().await.unwrap();
    assert_kept(disk.path(), &answered).await;
}
