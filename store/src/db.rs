//! The facade over the two databases.
//!
//! Owns opening, migrating, reading and the unit of work. Invariant: writes go
//! through a `Tx` only; a network call is never made while one is open.

use std::{path::PathBuf, time::Duration};

use async_trait::async_trait;
use sqlx::{
    Connection as _, Executor as _, SqliteConnection,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use crate::{
    Result, StoreError,
    postgres::{PgServer, PgTx},
    readers::Readers,
    seam::Seam,
    sqlite::{SqliteTx, Writer},
    value::{Args, Row, bind_postgres, bind_sqlite},
    wal,
};

static SQLITE_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/sqlite");
/// Indexes that serve lists for people, dispatch and retention. Nothing that is played in memory asks for these, and
/// every event that is stored would pay for them.
const UNUSED_IN_MEMORY: &str = "DROP INDEX events_undecided; DROP INDEX events_subject; DROP INDEX events_stored; \
    DROP TRIGGER events_are_listed; DROP TRIGGER events_are_listed_no_more";
static POSTGRES_MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../migrations/postgres");

/// SQLite readers; WAL lets them go on while the writer writes.
const SQLITE_READERS: u32 = 8;
/// Texts that a connection keeps prepared: those of some thirty statements over rows, for up to 18 numbers of rows each
/// (`Shape`), and some hundred others. Only what is used is kept.
const STATEMENTS_KEPT: usize = 700;
/// How long a statement waits for another process's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// Brings a schema up to date: `migrate!(the built-in migrations, connection)`.
macro_rules! migrate {
    ($built_in:expr, $connection:expr) => {{
        let longer = longer_history().await?;
        let migrations = longer.as_ref().unwrap_or(&$built_in);
        migrations
            .run($connection)
            .await
            .map_err(StoreError::Migration)?;
    }};
}

/// For the crash drill: the migrations of a later version, from a folder.
async fn longer_history() -> Result<Option<sqlx::migrate::Migrator>> {
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    if let Some(folder) = std::env::var_os("SO_DRILL_MIGRATIONS") {
        let read = sqlx::migrate::Migrator::new(PathBuf::from(folder)).await;
        return read.map(Some).map_err(StoreError::Migration);
    }
    Ok(None)
}

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// A file in the data folder.
    Sqlite,
    /// A server that many processes share.
    Postgres,
}

/// How to open a store.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// `sqlite:PATH` or `postgres://…`.
    pub url: String,
    /// Connections to PostgreSQL.
    pub connections: u32,
}

impl StoreOptions {
    /// The file `social-orchestrator.db` in a folder.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        let path = folder.into().join("social-orchestrator.db");
        Self {
            url: format!("sqlite:{}", path.display()),
            connections: 1,
        }
    }
    /// An address.
    pub fn at(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            connections: 20,
        }
    }
}

/// FULL: an intent that was answered must survive a power cut.
fn durability() -> SqliteSynchronous {
    // The power-cut drill's control: it must see what less than that loses.
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    if std::env::var_os("SO_DRILL_SYNCHRONOUS").is_some_and(|value| value == "normal") {
        return SqliteSynchronous::Normal;
    }
    SqliteSynchronous::Full
}

/// An open database. Cheap to clone; as `Sql` it reads.
#[derive(Clone)]
pub enum Store {
    /// SQLite: one writer, some readers.
    Sqlite {
        /// The writer.
        writer: Writer,
        /// The readers.
        readers: Readers,
        /// Where the file lies.
        path: PathBuf,
    },
    /// PostgreSQL.
    Postgres(PgServer),
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Sqlite { .. } => "Store(sqlite)",
            Self::Postgres(_) => "Store(postgres)",
        })
    }
}

impl Store {
    /// Opens the database and brings its schema up to date.
    pub async fn open(options: &StoreOptions) -> Result<Self> {
        if let Some(path) = options.url.strip_prefix("sqlite:") {
            Self::open_sqlite(path, durability(), Seam::default()).await
        } else if options.url.starts_with("postgres://") || options.url.starts_with("postgresql://")
        {
            let longer = longer_history().await?;
            let migrations = longer.as_ref().unwrap_or(&POSTGRES_MIGRATIONS);
            let server = PgServer::open(&options.url, options.connections, migrations).await?;
            Ok(Self::Postgres(server))
        } else {
            Err(StoreError::Address(
                "expected sqlite:PATH or postgres://user@host/database".into(),
            ))
        }
    }

    /// A SQLite file under a simulation, which cuts no power: nothing is synced.
    #[cfg(any(debug_assertions, feature = "failpoints"))]
    pub async fn open_simulated(
        path: &std::path::Path,
        interposed: std::sync::Arc<dyn crate::Interpose>,
    ) -> Result<Self> {
        let path = path.display().to_string();
        Self::open_sqlite(&path, SqliteSynchronous::Off, Seam::with(interposed)).await
    }

    /// An empty database in memory, which is gone with the last of its connections.
    ///
    /// Nothing is synced, and foreign keys are not kept, so that a part of another database can be copied into it.
    pub async fn in_memory() -> Result<Self> {
        // A name of its own, by which its connections find each other.
        let options: SqliteConnectOptions = "sqlite::memory:".parse()?;
        let options = options
            .journal_mode(SqliteJournalMode::Memory)
            .synchronous(SqliteSynchronous::Off)
            .foreign_keys(false)
            // Whoever reads beside the one unit of work sees what it has written, and does not wait for its end.
            .pragma("read_uncommitted", "true")
            .pragma("temp_store", "memory")
            .statement_cache_capacity(STATEMENTS_KEPT);
        let mut connection = SqliteConnection::connect_with(&options).await?;
        migrate!(SQLITE_MIGRATIONS, &mut connection);
        // Before anybody reads beside it: a schema that changes is locked.
        connection.execute(UNUSED_IN_MEMORY).await?;
        let readers = Readers::open(options, 1).await?;
        let path = PathBuf::new();
        Ok(Self::Sqlite {
            writer: Writer::new(connection, Seam::default(), &path, BUSY_TIMEOUT),
            readers,
            path,
        })
    }

    async fn open_sqlite(path: &str, synchronous: SqliteSynchronous, seam: Seam) -> Result<Self> {
        let path = PathBuf::from(path.strip_prefix("//").unwrap_or(path));
        let options = SqliteConnectOptions::new()
            .filename(&path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT)
            .pragma("wal_autocheckpoint", "2000")
            // Savepoints keep pages that they may have to give back; without this they go through files.
            .pragma("temp_store", "memory")
            // A log that grew while somebody read for long gives its space back.
            .pragma("journal_size_limit", wal::KEPT_BYTES.to_string())
            .statement_cache_capacity(STATEMENTS_KEPT);
        // A table that is made anew is dropped under its own name, and what refers to it must not go with it.
        let mut connection =
            SqliteConnection::connect_with(&options.clone().foreign_keys(false)).await?;
        migrate!(SQLITE_MIGRATIONS, &mut connection);
        connection.execute("PRAGMA foreign_keys = ON").await?;
        let to_read = options.read_only(true).create_if_missing(false);
        let readers = Readers::open(to_read, SQLITE_READERS).await?;
        Ok(Self::Sqlite {
            writer: Writer::new(connection, seam, &path, BUSY_TIMEOUT),
            readers,
            path,
        })
    }

    /// Which database this is.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite { .. } => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }

    /// How often PostgreSQL was found to be away; when this grows, claims may have been lost on the way.
    pub fn failures(&self) -> u64 {
        match self {
            Self::Sqlite { .. } => 0,
            Self::Postgres(server) => server.failures(),
        }
    }

    /// A simulation drives the work on this database, one task at a time.
    pub fn is_simulated(&self) -> bool {
        match self {
            Self::Sqlite { writer, .. } => writer.seam.is_taken(),
            Self::Postgres(_) => false,
        }
    }

    /// Begins a unit of work.
    pub async fn begin(&self) -> Result<Tx> {
        match self {
            Self::Sqlite { writer, .. } => Ok(Tx::Sqlite(writer.begin().await?)),
            // In a box: its future is large, and whoever begins would be larger by it on both databases.
            Self::Postgres(server) => Ok(Tx::Postgres(Box::pin(server.begin()).await?)),
        }
    }

    /// Copies a SQLite database to `target` while it is in use.
    pub async fn backup_sqlite(&self, target: &std::path::Path) -> Result<()> {
        let Self::Sqlite { readers, .. } = self else {
            return Err(StoreError::Address(
                "only SQLite is copied by the server; use pg_dump for PostgreSQL".into(),
            ));
        };
        let copy = sqlx::query("VACUUM INTO $1").bind(target.display().to_string());
        Ok(readers.run(copy).await?)
    }

    /// Gives free space of a SQLite file back; on PostgreSQL its own housekeeping does.
    ///
    /// For a database that nobody else uses: it is written anew as a whole.
    pub async fn compact(&self) -> Result<()> {
        match self {
            Self::Sqlite { writer, .. } => writer.compact().await,
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Closes every connection after what is under way.
    pub async fn close(&self) -> Result<()> {
        match self {
            Self::Sqlite {
                writer, readers, ..
            } => {
                readers.close().await;
                writer.close().await
            }
            Self::Postgres(server) => {
                server.close().await;
                Ok(())
            }
        }
    }
}

/// A unit of work. Dropped without `commit` it has no effect.
pub enum Tx {
    /// On SQLite's writer.
    Sqlite(SqliteTx),
    /// On a connection to PostgreSQL.
    Postgres(PgTx),
}

impl Tx {
    /// Which database this is.
    pub fn backend(&self) -> Backend {
        match self {
            Self::Sqlite(_) => Backend::Sqlite,
            Self::Postgres(_) => Backend::Postgres,
        }
    }
    /// Makes the work durable; it is on disk when this returns.
    pub async fn commit(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.commit().await,
            Self::Postgres(tx) => tx.commit().await,
        }
    }
    /// Undoes the work.
    pub async fn rollback(self) -> Result<()> {
        match self {
            Self::Sqlite(tx) => tx.rollback().await,
            Self::Postgres(tx) => tx.rollback().await,
        }
    }
    /// Marks a point to go back to: a step that fails leaves nothing half done.
    ///
    /// Set with the next statement only: a step that touches no row costs none.
    pub async fn savepoint(&mut self) -> Result<()> {
        self.set_mark().await?;
        *self.is_mark_due() = true;
        Ok(())
    }
    /// Goes back to the last mark and forgets it.
    pub async fn undo_to_savepoint(&mut self) -> Result<()> {
        const UNDO: &str = "ROLLBACK TO SAVEPOINT step";
        if std::mem::take(self.is_mark_due()) {
            return Ok(());
        }
        match self {
            Self::Sqlite(_) => self.simple(UNDO).await?,
            Self::Postgres(tx) => tx.undo_to(UNDO).await?,
        }
        self.simple("RELEASE SAVEPOINT step").await
    }
    /// Forgets the last mark and keeps the work.
    pub async fn keep_savepoint(&mut self) -> Result<()> {
        if std::mem::take(self.is_mark_due()) {
            return Ok(());
        }
        self.simple("RELEASE SAVEPOINT step").await
    }
    fn is_mark_due(&mut self) -> &mut bool {
        match self {
            Self::Sqlite(tx) => &mut tx.is_mark_due,
            Self::Postgres(tx) => &mut tx.is_mark_due,
        }
    }
    async fn set_mark(&mut self) -> Result<()> {
        if std::mem::take(self.is_mark_due()) {
            self.simple("SAVEPOINT step").await?;
        }
        Ok(())
    }
    async fn simple(&mut self, sql: &'static str) -> Result<()> {
        match self {
            Self::Sqlite(tx) => {
                let done = tx.connection()?.execute(sql).await;
                tx.checked(done).map(|_| ())?;
            }
            Self::Postgres(tx) => tx.simple(sql).await?,
        }
        Ok(())
    }
}

/// What runs statements: a `Tx`, or a `Store` for reads outside one.
#[async_trait]
pub trait Sql: Send {
    /// Which database this is.
    fn backend(&self) -> Backend;
    /// All rows.
    async fn all(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>>;
    /// The first row, if there is one.
    async fn one(&mut self, sql: &'static str, args: Args) -> Result<Option<Row>>;
    /// Changes rows; answers how many.
    async fn run(&mut self, sql: &'static str, args: Args) -> Result<u64>;
}

#[async_trait]
impl Sql for Tx {
    fn backend(&self) -> Backend {
        Tx::backend(self)
    }
    async fn all(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>> {
        self.set_mark().await?;
        Ok(match self {
            Self::Sqlite(tx) => {
                let rows = bind_sqlite(sql, args)?.fetch_all(tx.connection()?).await;
                tx.checked(rows)?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(tx) => {
                let rows = tx.all(bind_postgres(sql, args)).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }
    async fn one(&mut self, sql: &'static str, args: Args) -> Result<Option<Row>> {
        self.set_mark().await?;
        Ok(match self {
            Self::Sqlite(tx) => {
                let row = bind_sqlite(sql, args)?
                    .fetch_optional(tx.connection()?)
                    .await;
                tx.checked(row)?.map(Row::Sqlite)
            }
            Self::Postgres(tx) => tx.one(bind_postgres(sql, args)).await?.map(Row::Postgres),
        })
    }
    async fn run(&mut self, sql: &'static str, args: Args) -> Result<u64> {
        self.set_mark().await?;
        Ok(match self {
            Self::Sqlite(tx) => {
                let done = bind_sqlite(sql, args)?.execute(tx.connection()?).await;
                tx.checked(done)?.rows_affected()
            }
            Self::Postgres(tx) => tx.run(bind_postgres(sql, args)).await?,
        })
    }
}

#[async_trait]
impl Sql for Store {
    fn backend(&self) -> Backend {
        Store::backend(self)
    }
    async fn all(&mut self, sql: &'static str, args: Args) -> Result<Vec<Row>> {
        Ok(match self {
            Self::Sqlite {
                writer, readers, ..
            } => {
                writer.seam.before_read()?;
                let rows = readers.all(bind_sqlite(sql, args)?).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(server) => {
                let rows = Box::pin(server.all(bind_postgres(sql, args))).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }
    async fn one(&mut self, sql: &'static str, args: Args) -> Result<Option<Row>> {
        Ok(match self {
            Self::Sqlite {
                writer, readers, ..
            } => {
                writer.seam.before_read()?;
                readers.one(bind_sqlite(sql, args)?).await?.map(Row::Sqlite)
            }
            Self::Postgres(server) => {
                let row = Box::pin(server.one(bind_postgres(sql, args))).await?;
                row.map(Row::Postgres)
            }
        })
    }
    /// Changes go through a `Tx`, where they share a sync with their neighbours.
    async fn run(&mut self, _: &'static str, _: Args) -> Result<u64> {
        Err(StoreError::Address(
            "a write was tried outside a transaction".into(),
        ))
    }
}

/// A keyset page: rows after a cursor, and the cursor of the next page.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Page<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `limit` out of rows fetched with `limit + 1`.
    pub fn cut(mut items: Vec<T>, limit: usize, key: impl Fn(&T) -> String) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = if more { items.last().map(key) } else { None };
        Self { items, next_cursor }
    }
}
