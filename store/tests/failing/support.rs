//! A store that is written to, and connections that are not its own.

use std::path::{Path, PathBuf};

use so_store::{Sql as _, Store, StoreOptions, instance};
use sqlx::{Connection as _, Executor as _, SqliteConnection, sqlite::SqliteConnectOptions};

/// The name that the store gives its database.
pub fn database(folder: &Path) -> PathBuf {
    folder.join("social-orchestrator.db")
}

pub async fn open(folder: &Path) -> Store {
    Store::open(&StoreOptions::in_folder(folder)).await.unwrap()
}

/// Stores one fact in a unit of its own.
pub async fn put(store: &Store, name: &str, text: &str) -> so_store::Result<()> {
    let mut tx = store.begin().await?;
    instance::set(&mut tx, name, text).await?;
    tx.commit().await
}

/// Everything in the list is there, and the database is whole.
pub async fn assert_kept(folder: &Path, names: &[String]) {
    let mut store = open(folder).await;
    let rows = store.all("PRAGMA integrity_check", vec![]).await.unwrap();
    let told: Vec<String> = rows.iter().map(|row| row.text(0).unwrap()).collect();
    assert_eq!(told, ["ok"]);
    for name in names {
        let found = instance::get(&mut store, name).await.unwrap();
        assert!(found.is_some(), "{name} was answered and is lost");
    }
    store.close().await.unwrap();
}

/// Length of the write-ahead log.
pub fn log_bytes(folder: &Path) -> u64 {
    let mut log = database(folder).into_os_string();
    log.push("-wal");
    std::fs::metadata(log).map_or(0, |log| log.len())
}

/// A connection as an operator's shell has it: no patience, no settings of ours.
pub struct Foreign(SqliteConnection);

impl Foreign {
    pub async fn connect(folder: &Path) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(database(folder))
            .busy_timeout(std::time::Duration::ZERO);
        Self(SqliteConnection::connect_with(&options).await.unwrap())
    }
    pub async fn try_run(&mut self, sql: &'static str) -> Result<(), sqlx::Error> {
        self.0.execute(sql).await.map(|_| ())
    }
    pub async fn run(&mut self, sql: &'static str) {
        self.try_run(sql).await.unwrap();
    }
    /// Begins, trying until it has the lock.
    pub async fn take_lock(&mut self) {
        while self.try_run("BEGIN IMMEDIATE").await.is_err() {
            tokio::task::yield_now().await;
        }
    }
}
