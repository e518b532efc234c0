//! What the actions are given by the server.
//!
//! Owns the ports to the media store and the mail server's address. Must not
//! read a configuration file. Invariant: nothing here prints a secret.

use async_trait::async_trait;
use so_engine::script::ScriptEngine;
use so_net::Bytes;
use so_store::vault::SecretText;

use crate::access::Access;

/// Everything that actions need besides their transaction.
#[derive(Clone)]
pub struct ActionDeps {
    /// The way to networks, tokens and files; shared with the publish port.
    pub access: Access,
    /// The sandbox of scripts.
    pub scripts: ScriptEngine,
    /// The mail server, if the instance has one.
    pub mailer: Option<MailConfig>,
    /// Plain http to addresses that users give.
    pub allow_http: bool,
}

/// A mail server and how to sign in to it.
#[derive(Debug, Clone)]
pub struct MailConfig {
    /// Host name.
    pub host: String,
    /// Port; 465 and 587 are usual.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// User name; none sends without signing in.
    pub user: Option<String>,
    /// That user's password.
    pub password: Option<SecretText>,
    /// Sender, such as `Social <social@example.com>`.
    pub from: String,
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailTls {
    /// Not at all; only for a server on the same machine.
    None,
    /// Upgraded after the greeting; refused if the server cannot.
    StartTls,
    /// From the first byte.
    Implicit,
}

/// Where the bytes of uploaded files are.
#[async_trait]
pub trait MediaBytes: Send + Sync {
    /// All bytes of one file.
    async fn bytes(&self, storage_key: &str) -> std::io::Result<Bytes>;
    /// An address from which a network itself can fetch the file, if there is one.
    async fn public_url(&self, storage_key: &str) -> Option<String> {
        let _ = storage_key;
        None
    }
}
