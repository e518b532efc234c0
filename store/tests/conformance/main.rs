//! One suite for both databases: what the store promises, whatever lies below.
//!
//! Each behaviour runs on SQLite (a file in a temporary folder) and on a
//! private PostgreSQL; where that cannot be had, the skip is said loudly.
//! Invariant: no test sleeps, and none asks which database it is on.

#![allow(clippy::unwrap_used)]

mod cases;
mod engine;
mod events;
mod history;
mod library;
mod lists;
mod past;
mod postgres;
mod publishing;
mod runs_listed;
mod schema;
mod snapshot;
mod support;
mod surroundings;
mod tenancy;
mod triggers;
mod units;
mod upgrade;
mod vault;
mod versions;
mod waits;
mod ways;
mod why;
