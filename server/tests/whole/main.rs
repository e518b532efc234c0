//! The whole product as its users have it: the program, its page and real servers around it.
//!
//! Owns what only a process can show: starting, being killed, being read by a browser. Use cases one by one
//! are tested beside their code. Invariant: nothing here waits for time to pass, only for a state, bounded.
#![allow(clippy::unwrap_used)]

mod browser;
mod commands;
mod crashes;
mod desk;
mod feeds;
mod many;
mod networks;
mod newcomer;
mod recovery;
mod rules;
mod site;
