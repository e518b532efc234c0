//! Starts real servers on loopback for tests and says loudly which could not be had.
//!
//! Owns the typed view of each counterpart; how one is installed and run is in `testkit/counterparts/`.
//! It must not know any connector. Invariant: a server lives at most as long as the value that
//! stands for it, and never longer than the test process.
//!
//! ```no_run
//! use so_testkit::counterpart::{Counterpart, or_skip};
//!
//! // At the head of a test:
//! let Some(bluesky) = or_skip("posts_arrive", Counterpart::bluesky()) else { return };
//! assert!(bluesky.url.starts_with("http://localhost:"));
//! ```

mod bluesky;
pub mod http;
mod mastodon;
mod process;
mod smtp;
#[cfg(test)]
mod tests;

use std::io::Write;

pub use bluesky::{Bluesky, BlueskyAccount};
pub use mastodon::{MastodonMock, Snac};
pub(crate) use process::Process;
pub use smtp::{ReceivedMail, Smtp};

/// The environment variable that turns a skip into a failure: `all`, or names with commas.
pub const REQUIRE_VARIABLE: &str = "REQUIRE_COUNTERPARTS";

/// Why a counterpart cannot be used on this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("counterpart {counterpart} is unavailable: {reason}")]
pub struct Unavailable {
    /// The name that `install.sh` knows it by.
    pub counterpart: &'static str,
    /// What was missing or went wrong, with the next step where there is one.
    pub reason: String,
}

impl Unavailable {
    pub(crate) fn new(counterpart: &'static str, reason: impl Into<String>) -> Self {
        Self {
            counterpart,
            reason: reason.into(),
        }
    }
}

/// The servers that can be started.
pub struct Counterpart;

impl Counterpart {
    /// Starts an AT Protocol server with one account; fails when it is not installed or not starting.
    pub fn bluesky() -> Result<Bluesky, Unavailable> {
        Bluesky::start()
    }

    /// Starts the stateful Mastodon API with faults; fails when not installed or not starting.
    pub fn mastodon_mock() -> Result<MastodonMock, Unavailable> {
        MastodonMock::start()
    }

    /// Starts a real ActivityPub server with one user; fails when not installed or not starting.
    pub fn snac() -> Result<Snac, Unavailable> {
        Snac::start()
    }

    /// Starts a mail sink; fails when not installed or not starting.
    pub fn smtp() -> Result<Smtp, Unavailable> {
        Smtp::start()
    }
}

/// Gives the started counterpart, or says on standard error that `test` is skipped.
///
/// Panics where the counterpart is demanded by [`REQUIRE_VARIABLE`].
pub fn or_skip<T>(test: &str, started: Result<T, Unavailable>) -> Option<T> {
    match started {
        Ok(counterpart) => Some(counterpart),
        Err(unavailable) => {
            skip_loudly(test, &unavailable);
            None
        }
    }
}

/// Says on standard error that a test is skipped and why.
///
/// Panics where the counterpart is demanded by [`REQUIRE_VARIABLE`].
pub fn skip_loudly(test: &str, unavailable: &Unavailable) {
    let demanded = std::env::var(REQUIRE_VARIABLE).unwrap_or_default();
    assert!(
        !is_demanded(&demanded, unavailable.counterpart),
        "{test} may not be skipped ({REQUIRE_VARIABLE}={demanded}): {unavailable}"
    );
    // Not eprintln: the test harness swallows that for tests that pass.
    let message = format!("\n!!!!!! SKIPPED {test}: {unavailable}\n");
    let written = std::io::stderr().lock().write_all(message.as_bytes());
    assert!(
        written.is_ok(),
        "a skip could not be said on standard error"
    );
}

fn is_demanded(demanded: &str, counterpart: &str) -> bool {
    demanded
        .split(',')
        .map(str::trim)
        .any(|name| name == "all" || name == "1" || name == counterpart)
}
