//! `[outbound]`: which private addresses the server may call, and how long it waits.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use so_net::{AllowRule, OutboundConfig};

use super::Problems;

/// Settings of outbound calls.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutboundSection {
    /// Private hosts and networks that feeds, webhooks and networks may lie at.
    pub allow: Vec<String>,
    /// Plain HTTP to addresses that rules name.
    pub allow_http: bool,
    /// Bound on finding and reaching a host.
    pub connect_timeout_secs: u64,
    /// Bound on a whole request.
    pub total_timeout_secs: u64,
}

impl Default for OutboundSection {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            allow_http: false,
            connect_timeout_secs: 10,
            total_timeout_secs: 30,
        }
    }
}

impl OutboundSection {
    pub(super) fn validate(&self, problems: &mut Problems) {
        for entry in &self.allow {
            if let Err(error) = entry.parse::<AllowRule>() {
                problems.add("outbound.allow", error);
            }
        }
        problems.check_range(
            "outbound.connect_timeout_secs",
            self.connect_timeout_secs,
            1,
            120,
        );
        problems.check_range(
            "outbound.total_timeout_secs",
            self.total_timeout_secs,
            2,
            600,
        );
        // Otherwise a host that is down looks like one that may have taken the request.
        if self.total_timeout_secs <= self.connect_timeout_secs {
            problems.add(
                "outbound.total_timeout_secs",
                "must be longer than outbound.connect_timeout_secs",
            );
        }
    }

    /// As the outbound client takes it.
    pub fn outbound(&self) -> OutboundConfig {
        OutboundConfig {
            // Entries that cannot be read were refused by `validate`.
            allow: self
                .allow
                .iter()
                .filter_map(|entry| entry.parse().ok())
                .collect(),
            connect_timeout: Duration::from_secs(self.connect_timeout_secs),
            total_timeout: Duration::from_secs(self.total_timeout_secs),
            ..OutboundConfig::default()
        }
    }
}
