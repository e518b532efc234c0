//! What can go wrong at the database, as callers can act on it.

/// An error of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A unique key is taken.
    #[error("the row exists already ({constraint})")]
    Conflict {
        /// The constraint or columns, as the database names them.
        constraint: String,
    },
    /// The database did not answer, is busy or went away. Of a commit that failed
    /// so nobody knows whether it took effect; anything else had none.
    #[error("the database is not available")]
    Unavailable(#[source] sqlx::Error),
    /// The disk that the database lies on is full. As with `Unavailable`, of a commit nobody knows more.
    #[error("the storage is full")]
    Full(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The state a change expected is no longer there.
    #[error("the {what} was changed by somebody else")]
    Stale {
        /// What was to be changed.
        what: &'static str,
    },
    /// A stored document cannot be read.
    #[error("a stored {what} cannot be read")]
    Corrupt {
        /// What was to be read.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The publish protocol knows no such step: an error of ours, or of whoever changed rows by hand.
    #[error("a step of a publication is not allowed")]
    NotAllowed(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A workspace would be left without an owner.
    #[error("the last owner of a workspace was to be removed or demoted")]
    LastOwner,
    /// A secret cannot be opened or sealed, or the master key cannot be used.
    #[error("the vault cannot be used: {0}")]
    Vault(String),
    /// The database refused a statement: an error of ours.
    #[error("the database refused a statement")]
    Refused(#[source] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the schema cannot be migrated")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The address of the database cannot be used.
    #[error("the database address cannot be used: {0}")]
    Address(String),
}

impl StoreError {
    /// A stored document of `what` that cannot be read.
    pub fn corrupt(
        what: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Corrupt {
            what,
            source: source.into(),
        }
    }
    /// Trying again later may work.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
    /// A unique key was taken.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict { .. })
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(database) if database.is_unique_violation() => Self::Conflict {
                // SQLite names the columns in its message only; neither names a value.
                constraint: database
                    .constraint()
                    .unwrap_or(database.message())
                    .to_string(),
            },
            full if is_disk_full(full) => Self::Full(error.into()),
            sqlx::Error::Database(database) if is_transient(database.code().as_deref()) => {
                Self::Unavailable(error)
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Protocol(_) => Self::Unavailable(error),
            _ => Self::Refused(error),
        }
    }
}

// PostgreSQL's disk_full; SQLite's SQLITE_FULL, which has no extended codes.
pub(crate) fn is_disk_full(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else {
        return false;
    };
    matches!(database.code().as_deref(), Some("53100" | "13"))
}

// PostgreSQL: connection (08), serialisation (40), resources (53), operator (57), a server that takes no
// writes (25006), a transaction that was silent (25P03), a lock that was not had in time (55P03).
// SQLite primary codes: 5 busy, 6 locked, 10 I/O, 13 full.
fn is_transient(code: Option<&str>) -> bool {
    let Some(code) = code else { return false };
    // SQLite's extended codes have four digits at the most.
    if code.len() == 5 {
        return ["08", "40", "53", "57"]
            .iter()
            .any(|class| code.starts_with(class))
            || ["25006", "25P03", "55P03"].contains(&code);
    }
    code.parse::<u32>()
        .is_ok_and(|n| matches!(n & 0xff, 5 | 6 | 10 | 13))
}
