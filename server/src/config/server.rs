//! `[server]`: where the server listens, what it is called, whom it trusts.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};
use url::Url;

use super::Problems;
use crate::http::peer::Cidr;

/// Settings of the listener.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: String,
    /// The address people use; without it, `http://` and the listening address.
    pub public_url: Option<String>,
    /// Folder of the database, uploads and the key file.
    pub data_dir: PathBuf,
    /// Addresses and networks whose `X-Forwarded-For` counts.
    pub trusted_proxies: Vec<String>,
    /// Connections at a time; more wait in the operating system's queue.
    pub max_connections: u64,
    /// A request's head must arrive within this.
    pub header_timeout_secs: u64,
    /// Who may read `/metrics`.
    pub metrics: MetricsAccess,
    /// Form of the log.
    pub log_format: LogFormat,
    /// What is logged, as `tracing` filters say it.
    pub log_filter: String,
}

/// Who may read `/metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricsAccess {
    /// Programs on the same machine, not through a proxy.
    #[default]
    Loopback,
    /// Everybody who reaches the server.
    Open,
    /// Nobody.
    Off,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:8080".into(),
            public_url: None,
            data_dir: PathBuf::from("data"),
            trusted_proxies: Vec::new(),
            max_connections: 4096,
            header_timeout_secs: 10,
            metrics: MetricsAccess::default(),
            log_format: LogFormat::default(),
            log_filter: "info,tokio_cron_scheduler=warn".into(),
        }
    }
}

impl ServerConfig {
    pub(super) fn validate(&self, problems: &mut Problems) {
        if self.listen.parse::<SocketAddr>().is_err() {
            problems.add(
                "server.listen",
                "expected an address and a port such as 127.0.0.1:8080",
            );
        }
        if let Some(text) = &self.public_url {
            validate_public_url(text, problems);
        }
        for text in &self.trusted_proxies {
            if Cidr::parse(text).is_none() {
                problems.add(
                    "server.trusted_proxies",
                    format_args!("\"{text}\" is not an address or a network such as 10.0.0.0/8"),
                );
            }
        }
        problems.check_range("server.max_connections", self.max_connections, 1, 1_000_000);
        problems.check_range(
            "server.header_timeout_secs",
            self.header_timeout_secs,
            1,
            120,
        );
    }
}

// A path in it would need every link of the page to carry it, which they do not.
fn validate_public_url(text: &str, problems: &mut Problems) {
    let key = "server.public_url";
    match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            problems.add(
                key,
                "expected an address that begins with https:// or http://",
            );
        }
        Ok(url) if url.path() != "/" || url.query().is_some() || url.fragment().is_some() => {
            problems.add(
                key,
                "expected no path; the page must lie at the root of its host",
            );
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            problems.add(key, "expected no name or password in the address");
        }
        Ok(_) => {}
        Err(_) => problems.add(
            key,
            "expected an address such as https://social.example.org",
        ),
    }
}
