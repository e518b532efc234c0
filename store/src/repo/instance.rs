//! Facts about this instance: its id, recovery epoch, heartbeat, and the gaps in its history.
//!
//! Invariant: whoever judges the instance does so under [`lock`], so that one gap is noticed once.

use std::collections::BTreeMap;

use so_model::{id::UserId, time::Timestamp};

use crate::{Backend, Result, Sql, Store, StoreError, Tx, args};

/// A fact.
pub async fn get(sql: &mut dyn Sql, name: &str) -> Result<Option<String>> {
    let row = sql
        .one("SELECT value FROM instance WHERE name = $1", args![name])
        .await?;
    row.map(|row| row.text(0)).transpose()
}

/// Stores a fact, in place of an earlier one.
pub async fn set(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )
    .await?;
    Ok(())
}

/// Stores a fact unless there is one; answers what holds now.
pub async fn set_once(tx: &mut Tx, name: &str, value: &str) -> Result<String> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        args![name, value],
    )
    .await?;
    Ok(get(tx, name).await?.unwrap_or_else(|| value.to_string()))
}

/// Adds one to a fact that is a number; begins at one.
pub(super) async fn count_up(tx: &mut Tx, name: &str) -> Result<()> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ($1, '1') ON CONFLICT (name) \
         DO UPDATE SET value = CAST(CAST(instance.value AS BIGINT) + 1 AS TEXT)",
        args![name],
    )
    .await?;
    Ok(())
}

/// What [`count_up`] has counted; none is zero.
pub(super) async fn counted(sql: &mut dyn Sql, name: &str) -> Result<i64> {
    let count = get(sql, name).await?;
    count.map_or(Ok(0), |count| {
        count
            .parse()
            .map_err(|error| StoreError::corrupt("count of changes", error))
    })
}

/// A span whose history the database lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The recovery epoch that began when it was noticed.
    pub epoch: i64,
    /// How it was noticed, for people.
    pub cause: String,
    /// False when nothing may have been lost at all.
    pub is_certain: bool,
    /// What happened before this is in the database.
    pub from: Timestamp,
    /// When it was noticed; what happens after this is in the database.
    pub until: Timestamp,
    /// Nobody is asked because of it any more.
    pub ends_at: Timestamp,
}

/// Stores a gap.
pub async fn insert_gap(tx: &mut Tx, gap: &Gap) -> Result<()> {
    tx.run(
        "INSERT INTO gaps (epoch, cause, is_certain, from_at, until_at, ends_at) VALUES ($1, $2, $3, $4, $5, $6)",
        args![gap.epoch, &gap.cause, gap.is_certain, gap.from, gap.until, gap.ends_at],
    )
    .await?;
    Ok(())
}

/// Gaps that have not ended at a moment, the latest first, at most `limit`.
pub async fn list_gaps(sql: &mut dyn Sql, now: Timestamp, limit: i64) -> Result<Vec<Gap>> {
    sql.all(
        "SELECT epoch, cause, is_certain, from_at, until_at, ends_at FROM gaps WHERE ends_at > $1 \
         ORDER BY epoch DESC LIMIT $2",
        args![now, limit],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Gap {
            epoch: row.int(0)?,
            cause: row.text(1)?,
            is_certain: row.truth(2)?,
            from: row.at(3)?,
            until: row.at(4)?,
            ends_at: row.at(5)?,
        })
    })
    .collect()
}

/// Ends every gap; answers how many there were.
pub async fn end_gaps(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.run(
        "UPDATE gaps SET ends_at = $1 WHERE ends_at > $1",
        args![now],
    )
    .await
}

/// Makes other processes wait that would judge the instance at the same time, until the transaction ends.
pub async fn lock(tx: &mut Tx) -> Result<()> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ('judged', '') ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![],
    )
    .await?;
    Ok(())
}

/// What a PostgreSQL server says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lineage {
    /// Given when the cluster was made; the same at its standbys.
    pub system: String,
    /// The database within the cluster.
    pub database: String,
    /// Grows when a standby takes over.
    pub timeline: i64,
}

/// Who the database server is; none on SQLite and where the server does not tell.
pub async fn lineage(store: &Store) -> Result<Option<Lineage>> {
    if store.backend() == Backend::Sqlite {
        return Ok(None);
    }
    let sql = "SELECT (SELECT system_identifier::text FROM pg_control_system()), \
               (SELECT oid::text FROM pg_database WHERE datname = current_database()), \
               substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
    match store.clone().one(sql, args![]).await {
        Ok(Some(row)) => Ok(Some(Lineage {
            system: row.text(0)?,
            database: row.text(1)?,
            timeline: i64::from_str_radix(&row.text(2)?, 16).unwrap_or(0),
        })),
        Ok(None) => Ok(None),
        Err(error) if error.is_transient() => Err(error),
        // Servers that are only like PostgreSQL know no such functions.
        Err(_) => Ok(None),
    }
}

/// Whoever was here first: the owner of the instance.
pub async fn first_user(sql: &mut dyn Sql) -> Result<Option<UserId>> {
    let row = sql
        .one(
            "SELECT id FROM users ORDER BY created_at, id LIMIT 1",
            args![],
        )
        .await?;
    row.map(|row| row.id(0)).transpose()
}

/// Every fact, by name.
pub async fn all(sql: &mut dyn Sql) -> Result<BTreeMap<String, String>> {
    sql.all("SELECT name, value FROM instance", args![])
        .await?
        .iter()
        .map(|row| Ok((row.text(0)?, row.text(1)?)))
        .collect()
}
