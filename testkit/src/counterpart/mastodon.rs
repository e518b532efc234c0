//! The two servers that speak the Mastodon API as values.
//!
//! Owns their addresses and credentials; it must not know how a connector signs in.
//! Invariant: neither is complete alone, see `testkit/counterparts/README.md` for which lacks what.

use super::Unavailable;
use super::process::Process;

/// A running stateful mock that can be told to fail.
pub struct MastodonMock {
    /// Base address, `http://127.0.0.1:<port>`.
    pub url: String,
    /// A token that works at once.
    pub token: String,
    /// The user to name on the sign-in page.
    pub user: String,
    _process: Process,
}

impl MastodonMock {
    pub(super) fn start() -> Result<Self, Unavailable> {
        let (process, mut ready) = Process::start("mastodon-mock", 1)?;
        Ok(Self {
            url: ready.take("url")?,
            token: ready.take("token")?,
            user: ready.take("user")?,
            _process: process,
        })
    }
}

/// A running snac, a real ActivityPub server.
pub struct Snac {
    /// Base address, `http://localhost:<port>`.
    pub url: String,
    /// The one user.
    pub user: String,
    /// That user's password, for the sign-in page.
    pub password: String,
    _process: Process,
}

impl Snac {
    pub(super) fn start() -> Result<Self, Unavailable> {
        let (process, mut ready) = Process::start("snac", 1)?;
        Ok(Self {
            url: ready.take("url")?,
            user: ready.take("user")?,
            password: ready.take("password")?,
            _process: process,
        })
    }
}
