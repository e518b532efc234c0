//! SQLite when its surroundings fail: other processes that hold its locks, readers that stay, a full disk.
//!
//! Invariant: whatever was answered is there afterwards, and nobody has to start anything again.

#![allow(clippy::unwrap_used)]

mod busy;
mod full;
mod support;
