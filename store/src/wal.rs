//! Keeps SQLite's write-ahead log short.
//!
//! SQLite moves the log into the database by itself, but begins it anew only at a moment at which nobody
//! reads from it; where readers overlap without end, that moment never comes. Invariant: past a bound,
//! readers are waited for, for a moment and less often the longer one of them stays.

use std::path::{Path, PathBuf};

use sqlx::{Executor as _, SqliteConnection};

/// The log is left this long when it begins anew; longer ones are cut.
pub(crate) const KEPT_BYTES: u64 = 16 << 20;
/// Readers are waited for when the log is longer than this.
const BYTES_MAX: u64 = 32 << 20;
/// Commits between two looks at the length: a look costs a system call.
const LOOK_EVERY: u32 = 32;
/// The log must grow by one in so many parts before readers are waited for again.
const PATIENCE_PARTS: u64 = 4;
/// Waits for readers for 100 ms, which a commit may take anyhow, and goes back to the usual time.
const CUT: &str =
    "PRAGMA busy_timeout = 100; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA busy_timeout = ";

/// Watches one log.
pub(crate) struct WalTender {
    log: PathBuf,
    cut: String,
    commits: u32,
    bound: u64,
}

impl WalTender {
    /// For the log of this database; `busy` is the connection's usual patience.
    pub(crate) fn new(database: &Path, busy: std::time::Duration) -> Self {
        let mut log = database.as_os_str().to_owned();
        log.push("-wal");
        Self {
            log: log.into(),
            cut: format!("{CUT}{}", busy.as_millis()),
            commits: 0,
            bound: BYTES_MAX,
        }
    }

    /// Called after each commit, outside of a transaction.
    pub(crate) async fn after_commit(&mut self, connection: &mut SqliteConnection) {
        self.commits += 1;
        if self.commits < LOOK_EVERY {
            return;
        }
        self.commits = 0;
        let length = || std::fs::metadata(&self.log).map_or(0, |log| log.len());
        let before = length();
        if before <= self.bound {
            if before <= BYTES_MAX {
                self.bound = BYTES_MAX;
            }
            return;
        }
        let cut = connection
            .execute(sqlx::AssertSqlSafe(self.cut.as_str()))
            .await;
        let after = length();
        if let Err(error) = cut {
            tracing::warn!(%error, "SQLite's log could not be cut");
        }
        if after <= BYTES_MAX {
            self.bound = BYTES_MAX;
        } else {
            self.bound = after + after / PATIENCE_PARTS;
            tracing::warn!(
                bytes = after,
                "SQLite's log grows because somebody reads for long"
            );
        }
    }
}
