//! The mail sink as a value.
//!
//! Owns its address and the reading of what it got; it must not know who sends.
//! Invariant: a mail that was accepted is listed, in the order of acceptance.

use std::collections::BTreeMap;
use std::io;

use super::process::Process;
use super::{Unavailable, http};

/// A running mail sink.
///
/// Recipients decide: `reject550@`, `later451@`, `drop@` and `slow@` misbehave, all others are kept.
pub struct Smtp {
    /// Loopback address to send to.
    pub host: String,
    /// Port to send to, without TLS.
    pub port: u16,
    /// The only user whose sign-in passes; signing in is not demanded.
    pub user: String,
    /// That user's password.
    pub password: String,
    view_url: String,
    _process: Process,
}

/// One mail as the sink understood it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct ReceivedMail {
    /// The envelope's sender.
    pub from: String,
    /// The envelope's recipients.
    pub to: Vec<String>,
    /// Whether the sender had signed in.
    pub signed_in: bool,
    /// Headers, names in lower case; of several with one name the last.
    pub headers: BTreeMap<String, String>,
    /// The plain text part.
    pub text: Option<String>,
    /// The HTML part.
    pub html: Option<String>,
    /// The whole message as sent.
    pub source: String,
}

impl Smtp {
    pub(super) fn start() -> Result<Self, Unavailable> {
        let (process, mut ready) = Process::start("smtp", 2)?;
        let port = ready.take("port")?;
        Ok(Self {
            host: ready.take("host")?,
            port: port
                .parse()
                .map_err(|_| Unavailable::new("smtp", format!("{port} is no port")))?,
            user: ready.take("user")?,
            password: ready.take("password")?,
            view_url: ready.take("http")?,
            _process: process,
        })
    }

    /// Lists what arrived; fails when the sink no longer answers.
    pub fn received(&self) -> io::Result<Vec<ReceivedMail>> {
        let answer = http::request("GET", &self.view_url, &[], b"")?;
        serde_json::from_slice(&answer.body).map_err(io::Error::other)
    }

    /// Forgets what arrived; fails when the sink no longer answers.
    pub fn forget(&self) -> io::Result<()> {
        http::request("DELETE", &self.view_url, &[], b"").map(drop)
    }
}
