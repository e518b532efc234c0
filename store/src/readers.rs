//! SQLite's readers.
//!
//! Owns the connections that read outside units of work. Invariant: no more of them read at a time than were allowed,
//! and one whose read was cut short, or that is lost, reads no more.
//!
//! sqlx's own pool asks a connection before and after each use whether it lives. SQLite's lives in a thread of this
//! process and does not get lost on the way; asking it twice costs twice what a small read does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, Error, Sqlite, SqliteConnection,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteRow},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How long a caller waits for a reader before the database counts as away.
const PATIENCE: Duration = Duration::from_secs(10);

/// A statement with its arguments.
type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The readers of one database. Cheap to clone.
#[derive(Clone)]
pub struct Readers(Arc<Shared>);

struct Shared {
    options: SqliteConnectOptions,
    seats: Arc<Semaphore>,
    seats_max: u32,
    is_closed: AtomicBool,
    /// The last one back goes out first: what it keeps of the database is the most recent.
    idle: Mutex<Vec<SqliteConnection>>,
}

/// A reader at work.
struct Reader {
    home: Arc<Shared>,
    connection: Option<SqliteConnection>,
    _seat: OwnedSemaphorePermit,
}

impl Readers {
    /// At the most so many, and one at once, so that an address that cannot be read is told here.
    pub(crate) async fn open(
        options: SqliteConnectOptions,
        seats_max: u32,
    ) -> std::result::Result<Self, Error> {
        let first = SqliteConnection::connect_with(&options).await?;
        Ok(Self(Arc::new(Shared {
            options,
            seats: Arc::new(Semaphore::new(seats_max as usize)),
            seats_max,
            is_closed: AtomicBool::new(false),
            idle: Mutex::new(vec![first]),
        })))
    }

    pub(crate) async fn all(&self, statement: Statement<'_>) -> Result<Vec<SqliteRow>, Error> {
        let mut reader = self.take().await?;
        let done = statement.fetch_all(reader.connection()?).await;
        reader.give_back(done)
    }

    pub(crate) async fn one(&self, statement: Statement<'_>) -> Result<Option<SqliteRow>, Error> {
        let mut reader = self.take().await?;
        let done = statement.fetch_optional(reader.connection()?).await;
        reader.give_back(done)
    }

    pub(crate) async fn run(&self, statement: Statement<'_>) -> Result<(), Error> {
        let mut reader = self.take().await?;
        let done = statement.execute(reader.connection()?).await;
        reader.give_back(done).map(|_| ())
    }

    /// Waits for those at work; afterwards nobody reads.
    pub(crate) async fn close(&self) {
        let shared = &self.0;
        shared.is_closed.store(true, Ordering::Release);
        // All seats: whoever had one is back.
        let seats = shared.seats.acquire_many(shared.seats_max).await;
        let idle = std::mem::take(&mut *shared.idle());
        for connection in idle {
            if let Err(error) = connection.close().await {
                tracing::debug!(%error, "a reader of the database was gone before it was closed");
            }
        }
        drop(seats);
    }

    async fn take(&self) -> Result<Reader, Error> {
        let shared = &self.0;
        let seat = match shared.seats.clone().try_acquire_owned() {
            Ok(seat) => seat,
            Err(_) => tokio::time::timeout(PATIENCE, shared.seats.clone().acquire_owned())
                .await
                .map_err(|_| Error::PoolTimedOut)?
                .map_err(|_| Error::PoolClosed)?,
        };
        if shared.is_closed.load(Ordering::Acquire) {
            return Err(Error::PoolClosed);
        }
        let idle = shared.idle().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => {
                let opened = SqliteConnection::connect_with(&shared.options);
                tokio::time::timeout(PATIENCE, opened)
                    .await
                    .map_err(|_| Error::PoolTimedOut)??
            }
        };
        Ok(Reader {
            home: shared.clone(),
            connection: Some(connection),
            _seat: seat,
        })
    }
}

impl Shared {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<SqliteConnection>> {
        // Nothing panics while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reader {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Error> {
        self.connection.as_mut().ok_or(Error::WorkerCrashed)
    }

    /// What was read; the reader goes home unless it is lost.
    ///
    /// One that is dropped instead was cut short and may still be busy: it ends by itself and is not used again.
    fn give_back<T>(mut self, done: Result<T, Error>) -> Result<T, Error> {
        let is_lost = matches!(&done, Err(Error::WorkerCrashed | Error::Io(_)));
        if !is_lost && let Some(connection) = self.connection.take() {
            self.home.idle().push(connection);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(folder: &std::path::Path) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(folder.join("readers.db"))
            .create_if_missing(true)
    }

    fn idle(readers: &Readers) -> usize {
        readers.0.idle().len()
    }

    #[tokio::test]
    async fn a_reader_goes_home_also_after_a_statement_that_failed() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(options(folder.path()), 2).await.unwrap();
        readers.one(sqlx::query("SELECT 1")).await.unwrap().unwrap();
        readers.all(sqlx::query("SELEKT")).await.unwrap_err();
        assert_eq!(idle(&readers), 1);
    }

    #[tokio::test]
    async fn no_more_read_at_a_time_than_may() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(options(folder.path()), 2).await.unwrap();
        let (first, second) = (readers.take().await.unwrap(), readers.take().await.unwrap());
        let mut third = Box::pin(readers.take());
        assert!(futures_util::poll!(&mut third).is_pending());
        first.give_back(Ok(())).unwrap();
        let third = third.await.unwrap();
        second.give_back(Ok(())).unwrap();
        third.give_back(Ok(())).unwrap();
        assert_eq!(idle(&readers), 2);
    }

    #[tokio::test]
    async fn a_reader_that_was_cut_short_is_not_used_again() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(options(folder.path()), 1).await.unwrap();
        let endless =
            "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n";
        let mut reading = Box::pin(readers.all(sqlx::query(endless)));
        assert!(futures_util::poll!(&mut reading).is_pending());
        drop(reading);
        assert_eq!(idle(&readers), 0);
        readers.one(sqlx::query("SELECT 1")).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn after_the_end_nobody_reads() {
        let folder = tempfile::tempdir().unwrap();
        let readers = Readers::open(options(folder.path()), 2).await.unwrap();
        readers.close().await;
        let refused = readers.one(sqlx::query("SELECT 1")).await.unwrap_err();
        assert!(matches!(refused, Error::PoolClosed));
    }
}
