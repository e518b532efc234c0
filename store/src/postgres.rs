//! PostgreSQL: connections that are given up when they fall silent, and the unit of work on one.
//!
//! Owns the pool, what it remembers of connections found dead, and the spans within which the database must
//! say something. Invariant: no wait for PostgreSQL is without an end, and a connection that failed is never
//! used again.

use std::{
    future::Future,
    str::FromStr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::TryStreamExt as _;
use sqlx::{
    Connection as _, Executor as _, PgConnection, PgPool, Postgres, Row as _,
    pool::{PoolConnection, PoolConnectionMetadata},
    postgres::{PgArguments, PgConnectOptions, PgPoolOptions, PgRow},
    query::Query,
};

use crate::{Result, StoreError};

/// How long a caller waits for a connection before the database counts as away.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// The same while it is known to be away: callers are told, and try again.
const AWAY_TIMEOUT: Duration = Duration::from_secs(2);
/// A statement must bring a row or its end within this, or the connection counts as dead: a socket whose other
/// side is gone says nothing. Longer than `lock_timeout`, so that waiting for a row is not taken for it.
const SILENCE_MAX: Duration = Duration::from_secs(8);
/// An idle connection answers within this or is given up.
const PING_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection used a moment ago was tried then.
const FRESH: Duration = Duration::from_millis(200);
/// Connections are closed politely for so long when the server ends.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Statements kept prepared on a connection; the product has fewer.
const STATEMENTS_KEPT: usize = 500;

/// What each connection asks for by name, since a server's default may be weaker than the promise.
///
/// A transaction whose owner fell silent is undone after a while, so that its locks do not outlive it; nobody
/// waits for a lock longer than the other side may be silent.
const SETTINGS: &str = "SET synchronous_commit = on; \
    SET idle_in_transaction_session_timeout = '10s'; \
    SET lock_timeout = '6s'; \
    SELECT pg_is_in_recovery()";
/// Migrations may wait for one another and run long.
const SETTINGS_OF_MIGRATIONS: &str = "SET synchronous_commit = on; SELECT pg_is_in_recovery()";

/// A PostgreSQL server behind its connections. Cheap to clone.
#[derive(Clone)]
pub struct PgServer {
    pool: PgPool,
    health: Arc<Health>,
}

/// What is known of the server from what went wrong.
#[derive(Default)]
struct Health {
    /// Connections made before this moment are not used any more.
    suspect: Mutex<Option<Instant>>,
    /// Nothing has worked since the last failure.
    is_away: AtomicBool,
    /// Failures since the start.
    failures: AtomicU64,
}

impl Health {
    fn failed(&self) {
        self.is_away.store(true, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
    }
    /// One connection was found dead: its fellows of the same age most likely are as well.
    fn found_dead(&self) {
        *self.suspect.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.failed();
    }
    fn is_suspect(&self, meta: &PoolConnectionMetadata) -> bool {
        let suspect = *self.suspect.lock().unwrap_or_else(PoisonError::into_inner);
        suspect.is_some_and(|moment| moment.elapsed() <= meta.age)
    }
    /// Whether an idle connection may be used.
    async fn examine(
        &self,
        connection: &mut PgConnection,
        meta: PoolConnectionMetadata,
    ) -> std::result::Result<bool, sqlx::Error> {
        if self.is_suspect(&meta) {
            return Ok(false);
        }
        if meta.idle_for < FRESH {
            return Ok(true);
        }
        let answered = within(PING_TIMEOUT, connection.ping()).await;
        if answered.is_err() {
            self.found_dead();
        }
        answered.map(|()| true)
    }
}

/// An end to waiting; silence is an error of the connection.
async fn within<T>(
    limit: Duration,
    work: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> std::result::Result<T, sqlx::Error> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// Whether a connection is of no use after this error.
///
/// 08: the connection; 57P: the server ends, or ended it; 25006: it takes no writes, as a standby does;
/// 25P03: it was silent within a transaction.
fn is_fatal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database.code().is_some_and(|code| {
            code.starts_with("08") || code.starts_with("57P") || matches!(&*code, "25006" | "25P03")
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    }
}

fn pool_options(connections: u32, settings: &'static str) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .after_connect(move |connection, _| {
            Box::pin(async move {
                let row = sqlx::raw_sql(settings).fetch_one(connection).await?;
                // A standby takes no writes; the pool tries again until the address leads to a primary.
                if row.try_get::<bool, _>(0)? {
                    return Err(sqlx::Error::Io(std::io::Error::other(
                        "the server is a standby and takes no writes",
                    )));
                }
                Ok(())
            })
        })
}

impl PgServer {
    /// Connects and brings the schema up to date.
    pub(crate) async fn open(
        url: &str,
        connections: u32,
        migrations: &sqlx::migrate::Migrator,
    ) -> Result<Self> {
        let connect = PgConnectOptions::from_str(url)
            .map_err(|_| StoreError::Address("the PostgreSQL address cannot be parsed".into()))?
            .application_name("social-orchestrator")
            .statement_cache_capacity(STATEMENTS_KEPT);
        let migrating = pool_options(1, SETTINGS_OF_MIGRATIONS)
            .connect_with(connect.clone())
            .await?;
        migrations
            .run(&migrating)
            .await
            .map_err(StoreError::Migration)?;
        migrating.close().await;
        let health = Arc::new(Health::default());
        let examiner = health.clone();
        let pool = pool_options(connections, SETTINGS)
            .test_before_acquire(false)
            .before_acquire(move |connection, meta| {
                let health = examiner.clone();
                Box::pin(async move { health.examine(connection, meta).await })
            })
            .connect_with(connect)
            .await?;
        Ok(Self { pool, health })
    }

    /// How often the server was found to be away or silent.
    pub(crate) fn failures(&self) -> u64 {
        self.health.failures.load(Ordering::Relaxed)
    }

    /// Closes every connection after what is under way, for as long as is reasonable.
    pub(crate) async fn close(&self) {
        if tokio::time::timeout(CLOSE_TIMEOUT, self.pool.close())
            .await
            .is_err()
        {
            tracing::warn!("some connections to PostgreSQL could not be closed in time");
        }
    }

    /// A connection for one read, or for a unit of work.
    pub(crate) async fn connection(&self) -> Result<PgLease> {
        let limit = if self.health.is_away.load(Ordering::Relaxed) {
            AWAY_TIMEOUT
        } else {
            ACQUIRE_TIMEOUT
        };
        let acquired = match tokio::time::timeout(limit, self.pool.acquire()).await {
            Ok(acquired) => acquired,
            Err(_) => Err(sqlx::Error::PoolTimedOut),
        };
        match acquired {
            Ok(connection) => {
                self.health.is_away.store(false, Ordering::Relaxed);
                Ok(PgLease {
                    connection: Some(connection),
                    health: self.health.clone(),
                    is_dead: false,
                    is_begun: false,
                })
            }
            Err(error) => {
                self.health.failed();
                Err(error.into())
            }
        }
    }

    /// All rows, read on a connection of their own.
    pub(crate) async fn all(&self, query: PgQuery) -> Result<Vec<PgRow>> {
        self.connection().await?.all(query).await
    }

    /// The first row, read likewise.
    pub(crate) async fn one(&self, query: PgQuery) -> Result<Option<PgRow>> {
        self.connection().await?.one(query).await
    }

    /// Begins a unit of work.
    pub(crate) async fn begin(&self) -> Result<PgTx> {
        let mut lease = self.connection().await?;
        // Before the answer: whoever stops waiting for it leaves a transaction to undo.
        lease.is_begun = true;
        lease.simple("BEGIN").await?;
        Ok(PgTx {
            lease,
            is_failed: false,
            is_mark_due: false,
        })
    }
}

/// A connection out of the pool, which goes back to it only in good order.
pub struct PgLease {
    connection: Option<PoolConnection<Postgres>>,
    health: Arc<Health>,
    is_dead: bool,
    is_begun: bool,
}

type PgQuery = Query<'static, Postgres, PgArguments>;

impl PgLease {
    fn open(&mut self) -> std::result::Result<&mut PgConnection, sqlx::Error> {
        match &mut self.connection {
            Some(connection) if !self.is_dead => Ok(&mut *connection),
            _ => Err(sqlx::Error::WorkerCrashed),
        }
    }

    fn noting<T>(&mut self, result: std::result::Result<T, sqlx::Error>) -> Result<T> {
        if let Err(error) = &result
            && is_fatal(error)
            && !self.is_dead
        {
            self.is_dead = true;
            self.health.found_dead();
        }
        Ok(result?)
    }

    pub(crate) async fn all(&mut self, query: PgQuery) -> Result<Vec<PgRow>> {
        let read = async {
            let mut rows = query.fetch(self.open()?);
            let mut all = Vec::new();
            // Each row anew: a long answer is no silence.
            while let Some(row) = within(SILENCE_MAX, rows.try_next()).await? {
                all.push(row);
            }
            Ok(all)
        };
        let result = read.await;
        self.noting(result)
    }

    pub(crate) async fn one(&mut self, query: PgQuery) -> Result<Option<PgRow>> {
        let read = async { within(SILENCE_MAX, query.fetch_optional(self.open()?)).await };
        let result = read.await;
        self.noting(result)
    }

    async fn run(&mut self, query: PgQuery) -> Result<u64> {
        let write = async { within(SILENCE_MAX, query.execute(self.open()?)).await };
        let result = write.await;
        Ok(self.noting(result)?.rows_affected())
    }

    async fn simple(&mut self, sql: &'static str) -> Result<()> {
        let write = async { within(SILENCE_MAX, self.open()?.execute(sql)).await };
        let result = write.await;
        self.noting(result).map(|_| ())
    }
}

impl Drop for PgLease {
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if tokio::runtime::Handle::try_current().is_err() {
            // Nobody is left to speak to the server; the socket closes and what was begun is undone.
            drop(connection.detach());
            return;
        }
        if self.is_dead {
            connection.close_on_drop();
            return;
        }
        let (health, must_undo) = (self.health.clone(), self.is_begun);
        tokio::spawn(async move {
            let undone = if must_undo {
                within(SILENCE_MAX, connection.execute("ROLLBACK"))
                    .await
                    .map(|_| ())
            } else {
                Ok(())
            };
            match undone {
                // Bounded here, because the pool's own look at what comes back has no end.
                Ok(()) => {
                    let back = connection.return_to_pool();
                    if tokio::time::timeout(SILENCE_MAX, back).await.is_err() {
                        health.found_dead();
                    }
                }
                Err(error) => {
                    if is_fatal(&error) {
                        health.found_dead();
                    }
                    connection.close_on_drop();
                }
            }
        });
    }
}

/// A unit of work on a connection. Dropped without `commit` it has no effect.
pub struct PgTx {
    lease: PgLease,
    /// A statement failed outside of a savepoint that was gone back to: PostgreSQL will undo everything.
    is_failed: bool,
    /// A savepoint is to be set before the next statement.
    pub(crate) is_mark_due: bool,
}

impl PgTx {
    fn noting<T>(&mut self, result: Result<T>) -> Result<T> {
        self.is_failed |= result.is_err();
        result
    }
    pub(crate) async fn all(&mut self, query: PgQuery) -> Result<Vec<PgRow>> {
        let result = self.lease.all(query).await;
        self.noting(result)
    }
    pub(crate) async fn one(&mut self, query: PgQuery) -> Result<Option<PgRow>> {
        let result = self.lease.one(query).await;
        self.noting(result)
    }
    pub(crate) async fn run(&mut self, query: PgQuery) -> Result<u64> {
        let result = self.lease.run(query).await;
        self.noting(result)
    }
    pub(crate) async fn simple(&mut self, sql: &'static str) -> Result<()> {
        let result = self.lease.simple(sql).await;
        self.noting(result)
    }
    /// Goes back to the last savepoint; what failed after it counts no longer.
    pub(crate) async fn undo_to(&mut self, sql: &'static str) -> Result<()> {
        let result = self.lease.simple(sql).await;
        self.is_failed = result.is_err();
        result
    }
    pub(crate) async fn commit(mut self) -> Result<()> {
        // PostgreSQL answers such a COMMIT with ROLLBACK and no error, which is not what was asked.
        if self.is_failed {
            return Err(StoreError::Refused(sqlx::Error::Protocol(
                "a transaction was to be committed after one of its statements failed".into(),
            )));
        }
        self.lease.simple("COMMIT").await?;
        self.lease.is_begun = false;
        Ok(())
    }
    pub(crate) async fn rollback(mut self) -> Result<()> {
        self.lease.simple("ROLLBACK").await?;
        self.lease.is_begun = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_and_lost_lines_are_fatal_and_refusals_are_not() {
        assert!(is_fatal(&sqlx::Error::Io(
            std::io::ErrorKind::TimedOut.into()
        )));
        assert!(is_fatal(&sqlx::Error::Protocol(String::new())));
        assert!(!is_fatal(&sqlx::Error::RowNotFound));
        assert!(!is_fatal(&sqlx::Error::PoolTimedOut));
    }
}
