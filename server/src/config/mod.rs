//! What the owner of an instance may set.
//!
//! Owns the sections, their defaults and their checks. Never reads a file or the environment itself;
//! `load` does. Invariant: a configuration that validates can be started, and every key of it stands in
//! `keys`, so that it can be set by file and environment and is shown by `config check`.

mod auth;
mod database;
mod keys;
mod load;
mod networks;
mod outbound;
mod publish;
mod retention;
mod server;
mod show;
mod smtp;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use auth::{AuthConfig, Registration};
pub use database::DatabaseConfig;
pub use keys::{KEYS, Key, Kind, nearest};
pub use load::{ConfigError, Flags, Loaded, Source, load};
pub use networks::NetworkConfig;
pub use outbound::OutboundSection;
pub use publish::PublishConfig;
pub use retention::RetentionConfig;
pub use server::{LogFormat, MetricsAccess, ServerConfig};
pub use show::show;
pub use smtp::{SmtpConfig, SmtpTls};

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where and how the server listens.
    pub server: ServerConfig,
    /// Where data lie.
    pub database: DatabaseConfig,
    /// How posts go out.
    pub publish: PublishConfig,
    /// How mail goes out.
    pub smtp: SmtpConfig,
    /// Which private addresses may be reached.
    pub outbound: OutboundSection,
    /// How long things are kept.
    pub retention: RetentionConfig,
    /// Who may sign in, and for how long.
    pub auth: AuthConfig,
    /// What differs for one network.
    pub networks: BTreeMap<String, NetworkConfig>,
}

impl Config {
    /// Everything that is wrong, each line beginning with the key.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Problems::default();
        self.server.validate(&mut problems);
        self.database.validate(&mut problems);
        self.publish.validate(&mut problems);
        self.smtp.validate(&mut problems);
        self.outbound.validate(&mut problems);
        self.retention.validate(&mut problems);
        self.auth.validate(&mut problems);
        // Whoever registers may write rules that send mail: an open server would be a relay for anybody.
        if self.smtp.host.is_some() && self.auth.registration == Registration::Open {
            problems.add(
                "smtp.host",
                "no mail is sent from a server where anybody may register (auth.registration is \"open\"); \
                 set auth.registration = \"first\" or \"closed\"",
            );
        }
        for (name, network) in &self.networks {
            network.validate(name, &mut problems);
        }
        problems.0
    }
}

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, key: &str, reason: impl std::fmt::Display) {
        self.0.push(format!("{key}: {reason}"));
    }
    fn check_range(&mut self, key: &str, value: u64, min: u64, max: u64) {
        if value < min || value > max {
            self.add(key, format_args!("{value} is outside {min} to {max}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_anybody_may_join_sends_no_mail() {
        let mut config = Config::default();
        config.smtp.host = Some("mail.example.org".into());
        config.smtp.from = Some("posts@example.org".into());
        let problems = config.problems();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert!(problems[0].starts_with("smtp.host: "), "{problems:?}");
        assert!(
            problems[0].contains("set auth.registration = \"first\" or \"closed\""),
            "{problems:?}"
        );
        for registration in [Registration::First, Registration::Closed] {
            config.auth.registration = registration;
            assert_eq!(config.problems(), Vec::<String>::new());
        }
    }
}
