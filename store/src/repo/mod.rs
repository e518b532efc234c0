//! Every SQL text, one module for each table or pair of tables.

use crate::{Result, StoreError};

pub mod accounts;
pub mod attempts;
pub mod decisions;
pub mod endpoints;
mod event_lists;
pub mod events;
pub mod feeds;
mod filter;
pub mod history;
pub mod hooks;
pub mod instance;
pub mod jobs;
pub mod labels;
mod listed;
pub mod media;
pub mod memberships;
pub mod network_apps;
pub mod notifications;
pub mod posts;
pub mod publications;
pub mod queue_slots;
pub mod queues;
pub mod rule_canaries;
pub mod rule_cases;
pub mod rule_drafts;
pub mod rule_keys;
pub mod rule_shadows;
pub mod rules;
mod run_lists;
pub mod run_ways;
pub mod runs;
pub mod sandbox;
pub mod script_library;
pub mod secrets;
pub mod sessions;
pub mod sign_ins;
pub mod snapshot;
mod span;
mod strands;
pub mod timers;
pub mod users;
pub mod waits;
pub mod workspaces;

/// A change that found nothing to change met another state than it expected.
pub(crate) fn expect_one(changed: u64, what: &'static str) -> Result<()> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale { what })
    }
}

/// Reads a stored name of an enumeration.
pub(crate) fn parsed<T>(
    what: &'static str,
    text: String,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T> {
    parse(&text).ok_or_else(|| StoreError::corrupt(what, text))
}
