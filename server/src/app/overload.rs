//! Turning work away before any of it is stored.
//!
//! Owns the one question whether there is room. Invariant: whoever is turned away is told when to come again,
//! and nothing of what they sent is kept.

use super::{
    App,
    failure::{Failure, Outcome},
};

/// Seconds after which whoever was turned away may come again: places are freed all the time.
const RETRY_SECS: i64 = 1;

/// Refuses when more work is claimed already than the server keeps in memory.
pub fn check(app: &App, code: &'static str) -> Outcome<()> {
    if app.engine.room() > 0 {
        return Ok(());
    }
    Err(full(code))
}

/// The refusal.
pub fn full(code: &'static str) -> Failure {
    Failure::new(429, code, "The server has more work than it can take")
        .next_step("Send it again in a moment.")
        .retry_after(RETRY_SECS)
}
