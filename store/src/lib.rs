//! The database: the only crate that names sqlx.
//!
//! Owns SQLite and PostgreSQL behind one small facade, the migrations, every
//! SQL text and the vault for secrets. Never knows a rule's meaning, a network
//! or HTTP. Invariant: an answer of `Tx::commit` means the data is on disk.
//!
//! # Adding a query
//!
//! Write a function in the `repo` module of its table that takes
//! `&mut dyn Sql` (reads) or `&mut Tx` (writes), a workspace id first, and one
//! `&'static str` with `$1 …` that both databases accept. Where they do not,
//! the difference goes into `dialect`. Then add its behaviour to `tests/conformance`.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod bulk;
mod db;
mod dialect;
mod error;
mod postgres;
mod readers;
mod seam;
mod sqlite;
mod value;
mod wal;

pub mod repo;
pub mod vault;

pub use db::{Backend, Page, Sql, Store, StoreOptions, Tx};
pub use error::StoreError;
pub use repo::*;
#[cfg(any(debug_assertions, feature = "failpoints"))]
pub use seam::Interpose;
pub use value::{Args, Row, Value};

/// Target of the log line that each statement writes, for whoever counts them.
pub const STATEMENT_TARGET: &str = "sqlx::query";

/// Result of every call to the store.
pub type Result<T> = std::result::Result<T, StoreError>;
