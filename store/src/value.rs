//! Values on their way into and out of statements.
//!
//! Invariant: three types only (text, 64-bit integer, bytes), each nullable,
//! because these mean the same on both databases.

use sqlx::{
    Postgres, Row as _, Sqlite,
    postgres::{PgArguments, PgRow},
    query::Query,
    sqlite::{SqliteArguments, SqliteRow},
};

use crate::{Result, StoreError};

/// A value bound to a statement.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Text or NULL.
    Text(Option<String>),
    /// Integer or NULL.
    Int(Option<i64>),
    /// Bytes or NULL.
    Bytes(Option<Vec<u8>>),
    /// A column of many rows; only PostgreSQL takes one.
    Column(Column),
}

/// Values of one column, a row each.
#[derive(Debug, Clone, PartialEq)]
pub enum Column {
    /// Texts.
    Texts(Vec<Option<String>>),
    /// Integers.
    Ints(Vec<Option<i64>>),
    /// Bytes.
    Blobs(Vec<Option<Vec<u8>>>),
}

/// A statement with its values, for PostgreSQL.
pub(crate) fn bind_postgres(
    sql: &'static str,
    args: Args,
) -> Query<'static, Postgres, PgArguments> {
    let mut query = sqlx::query(sql);
    for value in args {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Column(Column::Texts(texts)) => query.bind(texts),
            Value::Column(Column::Ints(numbers)) => query.bind(numbers),
            Value::Column(Column::Blobs(blobs)) => query.bind(blobs),
        };
    }
    query
}

/// A statement with its values, for SQLite.
pub(crate) fn bind_sqlite(
    sql: &'static str,
    args: Args,
) -> Result<Query<'static, Sqlite, SqliteArguments>> {
    let mut query = sqlx::query(sql);
    for value in args {
        query = match value {
            Value::Text(text) => query.bind(text),
            Value::Int(number) => query.bind(number),
            Value::Bytes(bytes) => query.bind(bytes),
            Value::Column(_) => {
                let error = "SQLite takes no column as a value";
                return Err(StoreError::Refused(sqlx::Error::Protocol(error.into())));
            }
        };
    }
    Ok(query)
}

/// Values of one statement, in order.
pub type Args = Vec<Value>;

// PostgreSQL takes no zero character in a text and would fail the whole statement; SQLite would keep it.
// Both store what Unicode has in the place of what cannot be shown.
fn storable(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(storable(text.to_string())))
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(storable(text)))
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(storable(text.clone())))
    }
}
impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text.map(storable))
    }
}
impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_string).map(storable))
    }
}
impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(Some(number))
    }
}
impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Int(number)
    }
}
impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Int(Some(i64::from(truth)))
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Some(bytes))
    }
}
impl From<so_model::Timestamp> for Value {
    fn from(at: so_model::Timestamp) -> Self {
        Self::Int(Some(at.micros()))
    }
}
impl From<Option<so_model::Timestamp>> for Value {
    fn from(at: Option<so_model::Timestamp>) -> Self {
        Self::Int(at.map(so_model::Timestamp::micros))
    }
}
impl<K: so_model::id::IdKind> From<so_model::Id<K>> for Value {
    fn from(id: so_model::Id<K>) -> Self {
        Self::Text(Some(id.to_string()))
    }
}
impl<K: so_model::id::IdKind> From<Option<so_model::Id<K>>> for Value {
    fn from(id: Option<so_model::Id<K>>) -> Self {
        Self::Text(id.map(|id| id.to_string()))
    }
}

/// Collects values for a statement.
#[macro_export]
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::Value::from($value)),*] };
}

/// A row that came back.
#[derive(Debug)]
pub enum Row {
    /// From SQLite.
    Sqlite(SqliteRow),
    /// From PostgreSQL.
    Postgres(PgRow),
}

macro_rules! getter {
    ($(#[$doc:meta])* $name:ident -> $type:ty) => {
        $(#[$doc])*
        pub fn $name(&self, index: usize) -> Result<$type> {
            match self {
                Self::Sqlite(row) => row.try_get::<$type, _>(index),
                Self::Postgres(row) => row.try_get::<$type, _>(index),
            }
            .map_err(|error| StoreError::corrupt("column", error))
        }
    };
}

impl Row {
    getter!(
        /// Text that is never NULL.
        text -> String);
    getter!(
        /// Text or none.
        opt_text -> Option<String>);
    getter!(
        /// An integer that is never NULL.
        int -> i64);
    getter!(
        /// An integer or none.
        opt_int -> Option<i64>);
    getter!(
        /// Bytes that are never NULL.
        bytes -> Vec<u8>);

    /// A truth value.
    pub fn truth(&self, index: usize) -> Result<bool> {
        Ok(self.int(index)? != 0)
    }
    /// A moment.
    pub fn at(&self, index: usize) -> Result<so_model::Timestamp> {
        Ok(so_model::Timestamp::from_micros(self.int(index)?))
    }
    /// A moment or none.
    pub fn opt_at(&self, index: usize) -> Result<Option<so_model::Timestamp>> {
        Ok(self.opt_int(index)?.map(so_model::Timestamp::from_micros))
    }
    /// An id of a kind.
    pub fn id<K: so_model::id::IdKind>(&self, index: usize) -> Result<so_model::Id<K>> {
        self.text(index)?
            .parse()
            .map_err(|error| StoreError::corrupt("id", error))
    }
    /// An id or none.
    pub fn opt_id<K: so_model::id::IdKind>(&self, index: usize) -> Result<Option<so_model::Id<K>>> {
        self.opt_text(index)?
            .map(|text| {
                text.parse()
                    .map_err(|error| StoreError::corrupt("id", error))
            })
            .transpose()
    }
    /// A JSON document.
    pub fn json<T: serde::de::DeserializeOwned>(&self, index: usize) -> Result<T> {
        serde_json::from_str(&self.text(index)?)
            .map_err(|error| StoreError::corrupt("document", error))
    }
}

/// A document as it is stored.
pub fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::corrupt("document", error))
}
