//! SQLite's one writer, with group commit.
//!
//! Invariant: a transaction is a savepoint inside a shared `BEGIN IMMEDIATE`;
//! `commit` answers only when the shared transaction has been synced. Whoever
//! waits for the writer joins the batch, so that many small transactions share
//! one sync without anybody waiting for a timer.

use std::sync::Arc;

use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};

use crate::{Result, StoreError};

/// Transactions that share one sync at the most; bounds how long the first waits.
const BATCH_MAX: usize = 256;

/// The writer.
#[derive(Clone)]
pub struct Writer(Arc<Mutex<Shared>>);

pub(crate) struct Shared {
    pub(crate) connection: SqliteConnection,
    is_begun: bool,
    is_savepoint_open: bool,
    waiting: Vec<oneshot::Sender<std::result::Result<(), String>>>,
}

/// One transaction on the writer.
pub struct SqliteTx {
    writer: Writer,
    guard: OwnedMutexGuard<Shared>,
}

impl Writer {
    pub(crate) fn new(connection: SqliteConnection) -> Self {
        Self(Arc::new(Mutex::new(Shared {
            connection,
            is_begun: false,
            is_savepoint_open: false,
            waiting: Vec::new(),
        })))
    }

    pub(crate) async fn begin(&self) -> Result<SqliteTx> {
        let mut guard = self.0.clone().lock_owned().await;
        guard.clear_abandoned().await?;
        if guard.waiting.len() >= BATCH_MAX {
            guard.sync().await;
        }
        if !guard.is_begun {
            guard.connection.execute("BEGIN IMMEDIATE").await?;
            guard.is_begun = true;
        }
        guard.connection.execute("SAVEPOINT unit").await?;
        guard.is_savepoint_open = true;
        Ok(SqliteTx {
            writer: self.clone(),
            guard,
        })
    }

    pub(crate) async fn close(&self) -> Result<()> {
        let mut guard = self.0.lock().await;
        guard.clear_abandoned().await?;
        guard.sync().await;
        let memory = SqliteConnection::connect("sqlite::memory:").await?;
        let connection = std::mem::replace(&mut guard.connection, memory);
        connection.close().await?;
        Ok(())
    }
}

impl Shared {
    // A transaction that was dropped without commit left its savepoint open.
    async fn clear_abandoned(&mut self) -> Result<()> {
        if self.is_savepoint_open {
            self.is_savepoint_open = false;
            if let Err(error) = self
                .connection
                .execute("ROLLBACK TO unit; RELEASE unit")
                .await
            {
                self.fail_all(&error.to_string()).await;
                return Err(error.into());
            }
        }
        Ok(())
    }

    async fn sync(&mut self) {
        if !self.is_begun {
            return;
        }
        match self.connection.execute("COMMIT").await {
            Ok(_) => {
                self.is_begun = false;
                for waiter in self.waiting.drain(..) {
                    // Nobody listens when the caller was cancelled; the data is safe either way.
                    let _ = waiter.send(Ok(()));
                }
            }
            Err(error) => self.fail_all(&error.to_string()).await,
        }
    }

    async fn fail_all(&mut self, reason: &str) {
        if let Err(error) = self.connection.execute("ROLLBACK").await {
            tracing::warn!(%error, "could not roll back a failed batch");
        }
        self.is_begun = false;
        for waiter in self.waiting.drain(..) {
            let _ = waiter.send(Err(reason.to_string()));
        }
    }
}

impl SqliteTx {
    pub(crate) fn connection(&mut self) -> &mut SqliteConnection {
        &mut self.guard.connection
    }

    pub(crate) async fn commit(mut self) -> Result<()> {
        self.guard.connection.execute("RELEASE unit").await?;
        self.guard.is_savepoint_open = false;
        let (sender, mut synced) = oneshot::channel();
        self.guard.waiting.push(sender);
        drop(self.guard);
        // The lock is fair: everybody who already waits for the writer goes
        // first and joins this batch; then the first of the batch syncs it.
        tokio::select! {
            biased;
            answer = &mut synced => read_answer(answer),
            mut guard = self.writer.0.lock() => {
                if let Ok(answer) = synced.try_recv() {
                    return read_answer(Ok(answer));
                }
                guard.clear_abandoned().await?;
                guard.sync().await;
                drop(guard);
                read_answer(synced.await)
            }
        }
    }

    pub(crate) async fn rollback(mut self) -> Result<()> {
        self.guard.clear_abandoned().await
    }
}

fn read_answer(
    answer: std::result::Result<std::result::Result<(), String>, oneshot::error::RecvError>,
) -> Result<()> {
    match answer {
        Ok(Ok(())) => Ok(()),
        Ok(Err(reason)) => Err(StoreError::Unavailable(sqlx::Error::Io(
            std::io::Error::other(reason),
        ))),
        Err(_) => Err(StoreError::Unavailable(sqlx::Error::WorkerCrashed)),
    }
}
