//! The centre: events, rules, runs, timers and the publish protocol.
//!
//! Owns what happens and in which order. Never knows a network, HTTP or the
//! page. Invariants: matching is pure; a step on our own database commits with
//! its memo; a call to the outside is made with no transaction open; time and
//! randomness are injected.
//!
//! # The way of an event
//!
//! [`engine::Engine::admit`] stores it, tries its candidate rules
//! ([`decide`]) and makes runs, in one transaction. The work loop
//! ([`loops`]) carries runs on ([`run`]) and moves publications
//! ([`publish`]). What steps do becomes events again.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod admit;
pub mod batch;
pub mod bell;
pub mod blueprint;
pub mod cases;
pub mod clock;
pub mod config;
pub mod counted;
pub mod decide;
mod draft;
pub mod engine;
pub mod facts;
pub mod failpoint;
pub mod forecast;
mod handover;
mod lanes;
mod library;
pub mod loops;
pub mod plugin;
pub mod publish;
pub mod rehearse;
pub mod rule;
pub mod run;
pub mod schedule;
pub mod script;
mod shadow;
pub mod simulate;
pub mod why;
mod workspaces;

pub use engine::{Engine, EngineParts};

#[cfg(test)]
mod parity_tests;
#[cfg(test)]
mod testing;
