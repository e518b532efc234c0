//! The vocabulary that every other crate shares.
//!
//! Owns ids, time, the rule document, events, runs, posts, accounts and the
//! request and response types of the HTTP API. Never knows a database, a
//! network or a clock: it compiles to wasm, and the page uses these very types.

#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod account;
pub mod api;
pub mod case;
pub mod content;
pub mod difference;
pub mod effect;
pub mod event;
pub mod forecast;
pub mod id;
pub mod network;
pub mod post;
pub mod problem;
pub mod publication;
pub mod rule;
pub mod run;
pub mod secret_name;
pub mod shadow;
pub mod simulation;
pub mod text;
pub mod time;
pub mod way;
pub mod why;
pub mod workspace;

pub use id::{Id, IdSource};
pub use problem::Problem;
pub use time::Timestamp;
