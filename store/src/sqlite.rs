//! SQLite's one writer, with group commit.
//!
//! Invariant: a transaction is a savepoint inside a shared `BEGIN IMMEDIATE`, or
//! the whole of it while nobody else is in it; `commit` answers only when the
//! shared transaction has been synced. Whoever waits for the writer joins the
//! batch, so that many small transactions share one sync without anybody waiting
//! for a timer.
//!
//! Callers may be cancelled at any point. What moves the connection and its
//! flags together therefore runs in a task of its own, which nobody cancels.

use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::{Result, StoreError, error::is_disk_full, seam::Seam, wal::WalTender};

/// Transactions that share one sync at the most; bounds how long the first waits.
const BATCH_MAX: usize = 256;

type Synced = std::result::Result<(), Failed>;

/// Why a batch came to nothing; everybody in it is told.
#[derive(Debug, Clone)]
struct Failed {
    is_full: bool,
    reason: String,
}

impl From<&sqlx::Error> for Failed {
    fn from(error: &sqlx::Error) -> Self {
        Self {
            is_full: is_disk_full(error),
            reason: error.to_string(),
        }
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        if failed.is_full {
            return Self::Full(failed.reason.into());
        }
        Self::Unavailable(sqlx::Error::Io(std::io::Error::other(failed.reason)))
    }
}

/// The writer. Whoever holds a transaction and begins a second one waits for itself.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Mutex<Shared>>,
    pub(crate) seam: Seam,
}

/// What an open transaction is of the shared one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    /// All of it: nobody's finished work lies in it, so that it is undone as a whole.
    Whole,
    /// A savepoint in it.
    Part,
}

struct Shared {
    connection: SqliteConnection,
    is_begun: bool,
    open: Option<Unit>,
    is_closed: bool,
    /// The open unit met an error at which SQLite may have undone the whole batch by itself.
    given_up: Option<Failed>,
    /// When somebody last waited in vain for another process's lock.
    refused_at: Option<Instant>,
    wal: WalTender,
    waiting: Vec<oneshot::Sender<Synced>>,
}

/// One transaction on the writer.
pub struct SqliteTx {
    writer: Writer,
    guard: OwnedMutexGuard<Shared>,
    /// A savepoint is to be set before the next statement.
    pub(crate) is_mark_due: bool,
    // Last, so that the guard is gone when it is dropped.
    give_back: GiveBack,
}

/// Undoes a unit that was dropped, so that its lock is not kept until somebody else begins.
struct GiveBack(Option<Writer>);

impl Drop for GiveBack {
    fn drop(&mut self) {
        if let Some(writer) = self.0.take()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(async move { writer.shared.lock().await.clear_abandoned().await });
        }
    }
}

impl Writer {
    pub(crate) fn new(
        connection: SqliteConnection,
        seam: Seam,
        database: &Path,
        busy: Duration,
    ) -> Self {
        let shared = Shared {
            connection,
            is_begun: false,
            open: None,
            is_closed: false,
            given_up: None,
            refused_at: None,
            wal: WalTender::new(database, busy),
            waiting: Vec::new(),
        };
        Self {
            shared: Arc::new(Mutex::new(shared)),
            seam,
        }
    }

    pub(crate) async fn begin(&self) -> Result<SqliteTx> {
        self.seam.before_begin().await?;
        let asked_at = Instant::now();
        let guard = self.shared.clone().lock_owned().await;
        let writer = self.clone();
        to_its_end(async move {
            let give_back = GiveBack(Some(writer.clone()));
            let mut tx = SqliteTx {
                writer,
                guard,
                is_mark_due: false,
                give_back,
            };
            tx.guard.begin(asked_at).await?;
            Ok(tx)
        })
        .await
    }

    /// Writes the database anew without its free pages.
    pub(crate) async fn compact(&self) -> Result<()> {
        let mut guard = self.shared.clone().lock_owned().await;
        to_its_end(async move {
            guard.clear_abandoned().await;
            guard.sync().await;
            guard.connection.execute("VACUUM").await?;
            guard
                .connection
                .execute("PRAGMA wal_checkpoint(TRUNCATE)")
                .await?;
            Ok(())
        })
        .await
    }

    pub(crate) async fn close(&self) -> Result<()> {
        let mut guard = self.shared.clone().lock_owned().await;
        to_its_end(async move {
            if guard.is_closed {
                return Ok(());
            }
            guard.clear_abandoned().await;
            guard.sync().await;
            guard.is_closed = true;
            let nothing = SqliteConnection::connect("sqlite::memory:").await?;
            let connection = std::mem::replace(&mut guard.connection, nothing);
            Ok(connection.close().await?)
        })
        .await
    }
}

impl Shared {
    async fn begin(&mut self, asked_at: Instant) -> Result<()> {
        if self.is_closed {
            return Err(StoreError::Unavailable(sqlx::Error::PoolClosed));
        }
        self.clear_abandoned().await;
        if self.waiting.len() >= BATCH_MAX {
            self.sync().await;
        }
        if !self.is_begun {
            // Whoever queued behind one that waited in vain has waited as long.
            if self.refused_at.is_some_and(|at| asked_at < at) {
                return Err(StoreError::Unavailable(sqlx::Error::PoolTimedOut));
            }
            if let Err(error) = self.plain("BEGIN IMMEDIATE").await {
                self.refused_at = Some(Instant::now());
                return Err(error.into());
            }
            self.is_begun = true;
            self.open = Some(Unit::Whole);
            return Ok(());
        }
        self.plain("SAVEPOINT unit").await?;
        self.open = Some(Unit::Part);
        Ok(())
    }

    /// Runs a statement without values, prepared once.
    async fn plain(&mut self, sql: &'static str) -> std::result::Result<(), sqlx::Error> {
        let done = sqlx::query(sql).execute(&mut self.connection).await;
        done.map(|_| ())
    }

    // A transaction that was dropped without commit is still open.
    async fn clear_abandoned(&mut self) {
        let Some(unit) = self.open.take() else { return };
        let given_up = self.given_up.take();
        if unit == Unit::Whole {
            return self.give_up_batch().await;
        }
        let undone = self.connection.execute("ROLLBACK TO unit; RELEASE unit");
        if let Err(error) = undone.await {
            // SQLite gave up the whole transaction: the disk is full, or worse.
            let failed = given_up.unwrap_or_else(|| Failed::from(&error));
            self.fail_all(&failed).await;
        }
    }

    async fn sync(&mut self) {
        if !self.is_begun {
            return;
        }
        match self.plain("COMMIT").await {
            Ok(_) => {
                self.is_begun = false;
                for waiter in self.waiting.drain(..) {
                    // Nobody listens when the caller was cancelled; the data is safe either way.
                    let _ = waiter.send(Ok(()));
                }
                self.wal.after_commit(&mut self.connection).await;
            }
            Err(error) => self.fail_all(&Failed::from(&error)).await,
        }
    }

    async fn fail_all(&mut self, failed: &Failed) {
        self.give_up_batch().await;
        for waiter in self.waiting.drain(..) {
            let _ = waiter.send(Err(failed.clone()));
        }
    }

    async fn give_up_batch(&mut self) {
        // Fails where SQLite has done so by itself; the connection is outside a transaction either way.
        if let Err(error) = self.connection.execute("ROLLBACK").await {
            tracing::debug!(%error, "there was nothing to roll back");
        }
        self.is_begun = false;
    }
}

impl SqliteTx {
    /// The connection, unless an earlier statement of this unit failed for good.
    ///
    /// After such an error SQLite may have ended the transaction: a further statement would be a commit of its own.
    pub(crate) fn connection(&mut self) -> Result<&mut SqliteConnection> {
        match &self.guard.given_up {
            Some(failed) => Err(failed.clone().into()),
            None => Ok(&mut self.guard.connection),
        }
    }

    /// Notes an error after which this unit may not go on.
    pub(crate) fn checked<T>(&mut self, done: std::result::Result<T, sqlx::Error>) -> Result<T> {
        done.map_err(|error| {
            if may_end_transaction(&error) {
                self.guard.given_up = Some(Failed::from(&error));
            }
            error.into()
        })
    }

    pub(crate) async fn commit(self) -> Result<()> {
        let seam = self.writer.seam.clone();
        seam.before_commit().await?;
        to_its_end(self.join_batch()).await?;
        seam.after_commit().await
    }

    async fn join_batch(mut self) -> Result<()> {
        if let Some(failed) = self.guard.given_up.clone() {
            self.guard.clear_abandoned().await;
            return Err(failed.into());
        }
        if self.guard.open == Some(Unit::Part) {
            self.guard.plain("RELEASE unit").await?;
        }
        self.guard.open = None;
        self.give_back.0 = None;
        let (sender, mut synced) = oneshot::channel();
        self.guard.waiting.push(sender);
        drop(self.guard);
        // The lock is fair: everybody who already waits for the writer goes
        // first and joins this batch; then the first of the batch syncs it.
        tokio::select! {
            biased;
            answer = &mut synced => read_answer(answer),
            mut guard = self.writer.shared.lock() => {
                if let Ok(answer) = synced.try_recv() {
                    return read_answer(Ok(answer));
                }
                guard.clear_abandoned().await;
                guard.sync().await;
                drop(guard);
                read_answer(synced.await)
            }
        }
    }

    pub(crate) async fn rollback(self) -> Result<()> {
        to_its_end(async move {
            // Named as a whole, or only a part of it would move here.
            let mut tx = self;
            tx.guard.clear_abandoned().await;
            tx.give_back.0 = None;
            Ok(())
        })
        .await
    }
}

// SQLite: out of memory, interrupted, an I/O error, a full disk; or the connection itself is lost.
fn may_end_transaction(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(database) => database
            .code()
            .and_then(|code| code.parse::<u32>().ok())
            .is_some_and(|code| matches!(code & 0xff, 7 | 9 | 10 | 13)),
        other => !matches!(other, sqlx::Error::RowNotFound),
    }
}

async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T>> + Send + 'static,
) -> Result<T> {
    tokio::spawn(work)
        .await
        .unwrap_or(Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)))
}

fn read_answer(answer: std::result::Result<Synced, oneshot::error::RecvError>) -> Result<()> {
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(failed)) => Err(failed.into()),
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)),
    }
}
