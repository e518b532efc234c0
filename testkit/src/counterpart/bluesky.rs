//! The AT Protocol server as a value.
//!
//! Owns its address and accounts; it must not know how a connector signs in.
//! Invariant: each value is a server of its own, empty but for the accounts made through it.

use super::Unavailable;
use super::process::{Fields, Process};

/// A running AT Protocol server with one account.
pub struct Bluesky {
    /// Base address, `http://localhost:<port>`; the server compares host names.
    pub url: String,
    /// Base address of its PLC directory.
    pub plc_url: String,
    /// The account that exists from the start, `alice.test`.
    pub account: BlueskyAccount,
    process: Process,
}

/// One account with both of its passwords.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlueskyAccount {
    /// For example `alice.test`.
    pub handle: String,
    /// `did:plc:...`
    pub did: String,
    /// The account's own password, for the OAuth page.
    pub password: String,
    /// An app password, for sessions made by a program.
    pub app_password: String,
}

impl Bluesky {
    pub(super) fn start() -> Result<Self, Unavailable> {
        let (process, mut ready) = Process::start("bluesky", 2)?;
        Ok(Self {
            url: ready.take("url")?,
            plc_url: ready.take("plc")?,
            account: BlueskyAccount::from_fields(ready)?,
            process,
        })
    }

    /// Makes the account `<name>.test`; fails when the name is taken, reserved or not a label.
    pub fn create_account(&self, name: &str) -> Result<BlueskyAccount, Unavailable> {
        let answer = self.process.command(&format!("account {name}"))?;
        BlueskyAccount::from_fields(answer)
    }
}

impl BlueskyAccount {
    fn from_fields(mut fields: Fields) -> Result<Self, Unavailable> {
        Ok(Self {
            handle: fields.take("handle")?,
            did: fields.take("did")?,
            password: fields.take("password")?,
            app_password: fields.take("app_password")?,
        })
    }
}
