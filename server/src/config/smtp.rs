//! `[smtp]`: the mail server; without a host, no mail is sent.

use serde::{Deserialize, Serialize};

use super::Problems;

/// Settings of mail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SmtpConfig {
    /// Host of the mail server.
    pub host: Option<String>,
    /// Its port.
    pub port: u16,
    /// How the connection is encrypted.
    pub tls: SmtpTls,
    /// Name to log in with.
    pub user: Option<String>,
    /// Password to log in with.
    pub password: Option<String>,
    /// Sender of every mail.
    pub from: Option<String>,
}

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SmtpTls {
    /// Begins in the clear and must change over.
    #[default]
    Starttls,
    /// Encrypted from the first byte.
    Tls,
    /// Never; only for a mail server on the same machine.
    None,
}

impl Default for SmtpConfig {
    fn default() -> Self {
        Self {
            host: None,
            port: 587,
            tls: SmtpTls::default(),
            user: None,
            password: None,
            from: None,
        }
    }
}

impl SmtpConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        if self.host.is_some() && self.from.is_none() {
            problems.add("smtp.from", "is needed when smtp.host is set");
        }
        if self.from.as_ref().is_some_and(|from| !from.contains('@')) {
            problems.add("smtp.from", "expected an e-mail address");
        }
        if self.user.is_some() != self.password.is_some() {
            problems.add("smtp.user", "smtp.user and smtp.password go together");
        }
        if self.tls == SmtpTls::None && self.password.is_some() {
            problems.add("smtp.tls", "a password is not sent without encryption");
        }
    }
}
