//! `[networks.NAME]`: what differs for one network: its address and the instance's app.

use serde::{Deserialize, Serialize};
use url::Url;

use super::Problems;

/// Settings of one network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NetworkConfig {
    /// Replaces the network's address, for tests and mirrors.
    pub base_url: Option<String>,
    /// Plain HTTP is permitted.
    pub allow_http: bool,
    /// Id of the app registered with the network.
    pub client_id: Option<String>,
    /// Secret of the app registered with the network.
    pub client_secret: Option<String>,
}

impl NetworkConfig {
    pub(super) fn validate(&self, name: &str, problems: &mut Problems) {
        let Some(text) = &self.base_url else { return };
        let key = format!("networks.{name}.base_url");
        match Url::parse(text) {
            Ok(url) if url.scheme() == "https" => {}
            Ok(url) if url.scheme() == "http" && self.allow_http => {}
            Ok(url) if url.scheme() == "http" => {
                problems.add(
                    &key,
                    format_args!("is plain HTTP; set networks.{name}.allow_http to permit it"),
                );
            }
            _ => problems.add(&key, "expected an address such as https://mastodon.example"),
        }
    }
}
