//! Where a request comes from.
//!
//! Owns the reading of `X-Forwarded-For`. Invariant: a header counts only when the connection itself comes
//! from a proxy that the configuration names; whatever such a proxy did not add is the client's invention.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    http::{HeaderMap, request::Parts},
};

use crate::app::{App, auth::Client};

/// Entries of `X-Forwarded-For` that are looked at; a longer chain is no chain of ours.
const HOPS_MAX: usize = 20;
/// Longest text kept of `User-Agent`, in bytes.
const USER_AGENT_MAX: usize = 512;

/// The address at the other end of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// An address or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cidr {
    base: IpAddr,
    bits: u32,
}

impl Cidr {
    /// Reads `10.0.0.0/8`, `::1` and the like.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let base: IpAddr = address.trim().parse().ok()?;
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.unwrap_or(width);
        (bits <= width).then_some(Self { base, bits })
    }

    /// Whether an address lies inside.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let (base, address) = (u32::from(base), u32::from(address));
                self.bits == 0 || (base ^ address) >> (32 - self.bits.min(32)) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let (base, address) = (u128::from(base), u128::from(address));
                self.bits == 0 || (base ^ address) >> (128 - self.bits) == 0
            }
            _ => false,
        }
    }
}

/// The client's address: the last one of the chain that no trusted proxy holds.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, proxies: &[String]) -> IpAddr {
    let proxies: Vec<Cidr> = proxies
        .iter()
        .filter_map(|text| Cidr::parse(text))
        .collect();
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(address));
    if !is_proxy(peer) {
        return peer;
    }
    let values = headers.get_all("x-forwarded-for").iter();
    let chain: Vec<&str> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .collect();
    let mut client = peer;
    for entry in chain.iter().rev().take(HOPS_MAX) {
        let Ok(address) = entry.trim().parse::<IpAddr>() else {
            return client;
        };
        client = address;
        if !is_proxy(address) {
            break;
        }
    }
    client
}

/// Whether a request passed a proxy, of whatever kind.
pub fn is_forwarded(headers: &HeaderMap) -> bool {
    ["x-forwarded-for", "forwarded", "x-real-ip", "via"]
        .iter()
        .any(|name| headers.contains_key(*name))
}

impl FromRequestParts<App> for Client {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let peer = parts
            .extensions
            .get::<Peer>()
            .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
        let user_agent = parts
            .headers
            .get("user-agent")
            .map(|value| String::from_utf8_lossy(value.as_bytes()));
        let user_agent = user_agent.unwrap_or_default();
        let end = user_agent.floor_char_boundary(USER_AGENT_MAX);
        Ok(Self {
            peer: client_address(peer, &parts.headers, &app.config.server.trusted_proxies),
            user_agent: user_agent[..end].to_string(),
        })
    }
}

impl OptionalFromRequestParts<App> for Peer {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &App,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(chain: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in chain {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        headers
    }
    fn address(peer: &str, chain: &[&str], proxies: &[&str]) -> String {
        let proxies: Vec<String> = proxies.iter().map(|text| text.to_string()).collect();
        client_address(peer.parse().unwrap(), &headers(chain), &proxies).to_string()
    }

    #[test]
    fn a_header_counts_only_from_a_trusted_proxy() {
        assert_eq!(address("203.0.113.9", &["1.1.1.1"], &[]), "203.0.113.9");
        assert_eq!(
            address("203.0.113.9", &["1.1.1.1"], &["10.0.0.0/8"]),
            "203.0.113.9"
        );
        assert_eq!(
            address("10.1.2.3", &["1.1.1.1"], &["10.0.0.0/8"]),
            "1.1.1.1"
        );
    }

    #[test]
    fn what_the_client_wrote_itself_does_not_count() {
        assert_eq!(
            address("10.1.2.3", &["9.9.9.9, 1.1.1.1"], &["10.0.0.0/8"]),
            "1.1.1.1"
        );
        assert_eq!(
            address(
                "10.1.2.3",
                &["9.9.9.9", "1.1.1.1, 10.9.9.9"],
                &["10.0.0.0/8"]
            ),
            "1.1.1.1"
        );
        assert_eq!(
            address("10.1.2.3", &["1.1.1.1, nonsense"], &["10.0.0.0/8"]),
            "10.1.2.3"
        );
        assert_eq!(
            address("::ffff:10.1.2.3", &["1.1.1.1"], &["10.0.0.0/8"]),
            "1.1.1.1"
        );
    }

    #[test]
    fn networks_contain_what_they_name() {
        let inside = |net: &str, ip: &str| Cidr::parse(net).unwrap().contains(ip.parse().unwrap());
        assert!(inside("10.0.0.0/8", "10.255.0.1") && !inside("10.0.0.0/8", "11.0.0.1"));
        assert!(inside("fd00::/8", "fd12::1") && !inside("fd00::/8", "fe80::1"));
        assert!(inside("0.0.0.0/0", "1.2.3.4") && inside("127.0.0.1", "127.0.0.1"));
        assert!(Cidr::parse("10.0.0.0/33").is_none() && Cidr::parse("host").is_none());
    }
}
