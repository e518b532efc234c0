//! Decides whether a URL, and then each address behind it, may be called.
//!
//! Owns the rules on schemes, credentials, ports and addresses. Must not open sockets or resolve names.
//! Invariant: what is not permitted by [`Guard::check`] and [`Guard::permits`] is never connected to.

use std::net::IpAddr;
use std::sync::Arc;

use url::{Host, Url};

use crate::address::is_public;
use crate::allow::AllowRule;
use crate::error::{BlockReason, NetError};

/// Longest URL that is accepted: longer ones are refused by most servers and proxies anyway.
const MAX_URL_BYTES: usize = 8 * 1024;

/// The destination policy of the instance. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allow: Arc<[AllowRule]>,
}

impl Guard {
    /// A guard with the instance owner's exceptions.
    pub fn new(allow: Vec<AllowRule>) -> Self {
        Guard {
            allow: allow.into(),
        }
    }

    /// Reads and judges a URL before anything is resolved, for callers that store a URL for later.
    ///
    /// A name passes here and is judged again by its addresses when it is called.
    pub fn check_text(&self, text: &str, allow_http: bool) -> Result<Url, NetError> {
        if text.len() > MAX_URL_BYTES {
            return Err(NetError::BadUrl(format!(
                "it is longer than {MAX_URL_BYTES} bytes"
            )));
        }
        let url = Url::parse(text.trim()).map_err(|e| NetError::BadUrl(e.to_string()))?;
        self.check(&url, allow_http)?;
        Ok(url)
    }

    /// Judges scheme, credentials, port and literal address of a URL.
    pub fn check(&self, url: &Url, allow_http: bool) -> Result<(), NetError> {
        if url.as_str().len() > MAX_URL_BYTES {
            return Err(NetError::BadUrl(format!(
                "it is longer than {MAX_URL_BYTES} bytes"
            )));
        }
        let host_name = host_of(url);
        let block = |reason| NetError::Blocked {
            host: host_name.clone(),
            reason,
        };
        if !matches!(url.scheme(), "http" | "https") {
            return Err(block(BlockReason::Scheme(
                url.scheme().chars().take(20).collect(),
            )));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(block(BlockReason::Credentials));
        }
        let port = url.port_or_known_default().unwrap_or(0);
        let named = match url.host() {
            None => return Err(NetError::BadUrl("it has no host".to_owned())),
            Some(Host::Domain(name)) => {
                let named = self.names(name, port);
                let may_be_covered = self.allow.iter().any(|rule| rule.may_cover_port(port));
                if !named && !may_be_covered && !is_web_port(port) {
                    return Err(block(BlockReason::Port(port)));
                }
                named
            }
            Some(Host::Ipv4(ip)) => self.check_address(IpAddr::V4(ip), port).map_err(block)?,
            Some(Host::Ipv6(ip)) => self.check_address(IpAddr::V6(ip), port).map_err(block)?,
        };
        // The owner who names a host answers for the line to it, so it may be plain http.
        if url.scheme() == "http" && !allow_http && !named {
            return Err(block(BlockReason::PlainHttp));
        }
        Ok(())
    }

    /// Judges one address that `host` resolved to, or was connected to.
    pub fn permits(&self, host: &str, ip: IpAddr, port: u16) -> Result<(), BlockReason> {
        if self.names(host, port) {
            return Ok(());
        }
        self.check_address(ip, port).map(|_| ())
    }

    /// `Ok(true)` when a rule covers the address, `Ok(false)` when it is public on a web port.
    fn check_address(&self, ip: IpAddr, port: u16) -> Result<bool, BlockReason> {
        if self.allow.iter().any(|rule| rule.covers(ip, port)) {
            return Ok(true);
        }
        if !is_public(ip) {
            return Err(BlockReason::PrivateAddress(ip));
        }
        if !is_web_port(port) {
            return Err(BlockReason::Port(port));
        }
        Ok(false)
    }

    fn names(&self, host: &str, port: u16) -> bool {
        self.allow.iter().any(|rule| rule.names(host, port))
    }
}

fn is_web_port(port: u16) -> bool {
    port == 80 || port == 443
}

/// The host for messages, never with port, path or query.
pub(crate) fn host_of(url: &Url) -> String {
    url.host_str().unwrap_or("the address").to_owned()
}
