//! The binary: command line, configuration, HTTP, use cases, the page.
//!
//! Owns the wiring of every other crate. Never names a table, builds an HTTP client or knows a network.
//! Invariant: tests run the same router over the same use cases, in process, with a clock of their own.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod app;
pub mod cli;
pub mod config;
pub mod housekeeping;
pub mod http;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
