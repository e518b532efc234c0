//! How an account of the sandbox is told to behave.
//!
//! Owns the reading of `settings.behaviour`. Must not keep state. Invariant:
//! what cannot be read is good behaviour.

use serde::Deserialize;
use so_model::{account::Account, network::Reconciliation, time::SECOND};

/// Longest that a post is held up: below the shortest deadline of a call.
const DELAY_MAX_MS: u64 = 10_000;
/// Most extra sub-steps of preparing.
const STEPS_MAX: u64 = 20;

/// What goes wrong with each post.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// Refused for good.
    Reject,
    /// Not taken: too many.
    RateLimited,
    /// Not taken: out of order.
    Unavailable,
    /// Not taken: the token has ended.
    Reconnect,
    /// Taken, but no answer comes.
    LostAnswer,
    /// Not taken, and no answer comes.
    LostRequest,
}

/// How an account behaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Behaviour {
    /// What goes wrong.
    pub fault: Fault,
    /// What lets one find out whether a post was taken.
    pub class: Reconciliation,
    /// Milliseconds that each post is held up.
    pub delay_ms: u64,
    /// Extra sub-steps of preparing.
    pub prepare_steps: u64,
    /// Microseconds between sub-steps.
    pub step_micros: i64,
    /// Microseconds asked for by `rate_limited`.
    pub retry_after: i64,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Stored {
    fault: Fault,
    class: Option<Reconciliation>,
    delay_ms: u64,
    prepare_steps: u64,
    step_s: u32,
    retry_after_s: Option<u32>,
}

impl Behaviour {
    /// As the account's settings say.
    pub fn of(account: &Account) -> Self {
        let stored = account
            .settings
            .get("behaviour")
            .cloned()
            .unwrap_or_default();
        let stored: Stored = serde_json::from_value(stored).unwrap_or_default();
        Self {
            fault: stored.fault,
            class: stored.class.unwrap_or(Reconciliation::IdempotencyKey),
            delay_ms: stored.delay_ms.min(DELAY_MAX_MS),
            prepare_steps: stored.prepare_steps.min(STEPS_MAX),
            step_micros: i64::from(stored.step_s) * SECOND,
            retry_after: i64::from(stored.retry_after_s.unwrap_or(60)) * SECOND,
        }
    }

    /// A repeated key is recognised; elsewhere a repeated call makes a second post, as at the networks meant.
    pub fn keeps_keys(&self) -> bool {
        matches!(
            self.class,
            Reconciliation::ClientIdentity
                | Reconciliation::IdempotencyKey
                | Reconciliation::TwoPhase
        )
    }
}
