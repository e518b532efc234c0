//! The instance owner's list of private destinations and unusual ports.
//!
//! Owns the textual form of a rule and what it matches. Must not know who wrote it: only the instance's
//! configuration may feed it, never a workspace. Invariant: a rule opens exactly what it names.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::address::{in_v4, in_v6};

/// One line of the allow-list: `host`, `address` or `network/bits`, each with an optional `:port` or `:*`.
///
/// Without a port a rule opens 80 and 443 only. IPv6 with a port is written in brackets: `[fd00::/8]:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowRule {
    target: Target,
    ports: Ports,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Target {
    Name(String),
    V4(Ipv4Addr, u32),
    V6(Ipv6Addr, u32),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ports {
    Web,
    One(u16),
    Any,
}

/// Why a line of the allow-list was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "allow-list entry \"{entry}\" {problem}; write host:port, address:port or network/bits:port (port may be *)"
)]
pub struct AllowRuleError {
    entry: String,
    problem: &'static str,
}

impl AllowRule {
    /// True when the rule names this host, whatever its addresses are.
    pub(crate) fn names(&self, host: &str, port: u16) -> bool {
        matches!(&self.target, Target::Name(name) if name.eq_ignore_ascii_case(host.trim_end_matches('.')))
            && self.ports.contains(port)
    }

    /// True when the rule covers this address.
    pub(crate) fn covers(&self, ip: IpAddr, port: u16) -> bool {
        let inside = match (&self.target, ip.to_canonical()) {
            (Target::V4(net, bits), IpAddr::V4(ip)) => in_v4(ip, *net, *bits),
            (Target::V6(net, bits), IpAddr::V6(ip)) => in_v6(ip, *net, *bits),
            _ => false,
        };
        inside && self.ports.contains(port)
    }

    /// True when the rule is about addresses and opens this port: a name may still turn out to resolve into it.
    pub(crate) fn may_cover_port(&self, port: u16) -> bool {
        !matches!(self.target, Target::Name(_)) && self.ports.contains(port)
    }
}

impl Ports {
    fn contains(self, port: u16) -> bool {
        match self {
            Ports::Web => port == 80 || port == 443,
            Ports::One(one) => one == port,
            Ports::Any => true,
        }
    }
}

impl FromStr for AllowRule {
    type Err = AllowRuleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let entry = text.trim();
        let fail = |problem| AllowRuleError {
            entry: entry.chars().take(100).collect(),
            problem,
        };
        if entry.is_empty() {
            return Err(fail("is empty"));
        }
        if entry.contains("://") || entry.contains('@') {
            return Err(fail("is a URL, not a host"));
        }
        let (target, port) = split_port(entry).ok_or_else(|| fail("has an unclosed bracket"))?;
        let ports = match port {
            None => Ports::Web,
            Some("*") => Ports::Any,
            Some(digits) => match digits.parse::<u16>() {
                Ok(0) | Err(_) => return Err(fail("has a port that is no number from 1 to 65535")),
                Ok(port) => Ports::One(port),
            },
        };
        let target = parse_target(target).map_err(fail)?;
        Ok(AllowRule { target, ports })
    }
}

fn split_port(entry: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = entry.strip_prefix('[') {
        let (inside, after) = rest.split_once(']')?;
        return match after {
            "" => Some((inside, None)),
            _ => after.strip_prefix(':').map(|port| (inside, Some(port))),
        };
    }
    // More than one colon without brackets is a bare IPv6 address or network.
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host, Some(port))),
        _ => Some((entry, None)),
    }
}

fn parse_target(text: &str) -> Result<Target, &'static str> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (
            address,
            Some(
                bits.parse::<u32>()
                    .map_err(|_| "has a prefix length that is no number")?,
            ),
        ),
        None => (text, None),
    };
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if bits.is_none_or(|bits| bits <= 32) => {
            Ok(Target::V4(ip, bits.unwrap_or(32)))
        }
        Ok(IpAddr::V6(ip)) if bits.is_none_or(|bits| bits <= 128) => {
            Ok(Target::V6(ip, bits.unwrap_or(128)))
        }
        Ok(_) => Err("has a prefix length that is too long"),
        Err(_) if bits.is_some() => Err("is no address in front of its prefix length"),
        Err(_) => parse_name(text),
    }
}

fn parse_name(text: &str) -> Result<Target, &'static str> {
    let name = text.trim_end_matches('.').to_ascii_lowercase();
    if name.is_empty() {
        return Err("has no host");
    }
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'));
    if !plain {
        return Err("has a host with characters that host names do not have");
    }
    // "127.1" or "0x7f000001" would look like a name here and an address to the URL parser: never match by accident.
    match url::Host::parse(&name) {
        Ok(url::Host::Domain(_)) => Ok(Target::Name(name)),
        _ => Err("has an address in an unusual form"),
    }
}

impl fmt::Display for AllowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Name(name) => f.write_str(name)?,
            Target::V4(ip, bits) => write!(f, "{ip}/{bits}")?,
            Target::V6(ip, bits) => write!(f, "[{ip}/{bits}]")?,
        }
        match self.ports {
            Ports::Web => Ok(()),
            Ports::One(port) => write!(f, ":{port}"),
            Ports::Any => f.write_str(":*"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(text: &str) -> AllowRule {
        text.parse().unwrap()
    }

    #[test]
    fn a_rule_opens_what_it_names_and_no_more() {
        let one = rule("127.0.0.1:3100");
        assert!(one.covers("127.0.0.1".parse().unwrap(), 3100));
        assert!(one.covers("::ffff:127.0.0.1".parse().unwrap(), 3100));
        assert!(!one.covers("127.0.0.1".parse().unwrap(), 3101));
        assert!(!one.covers("127.0.0.2".parse().unwrap(), 3100));
        assert!(!one.names("127.0.0.1", 3100));

        let net = rule("10.0.0.0/8");
        assert!(net.covers("10.9.8.7".parse().unwrap(), 443));
        assert!(!net.covers("10.9.8.7".parse().unwrap(), 8080));
        assert!(rule("10.0.0.0/8:*").covers("10.9.8.7".parse().unwrap(), 8080));

        let name = rule("Social.Lan.:*");
        assert!(name.names("social.lan", 8080) && name.names("SOCIAL.lan.", 1));
        assert!(!name.names("x.social.lan", 8080));
        assert!(rule("[fd00::/8]:8080").covers("fd12::1".parse().unwrap(), 8080));
        assert!(rule("fd00::1").covers("fd00::1".parse().unwrap(), 80));
        assert!(rule("0.0.0.0/0:*").covers("1.2.3.4".parse().unwrap(), 1));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_with_it() {
        for (text, problem) in [
            ("", "is empty"),
            ("http://a.b", "is a URL"),
            ("host:0", "no number from 1"),
            ("host:70000", "no number from 1"),
            ("10.0.0.0/33", "too long"),
            ("10.0.0.0/x", "no number"),
            ("host/8", "no address in front"),
            ("[fd00::1", "unclosed bracket"),
            (":80", "no host"),
            ("a b:80", "characters"),
            ("127.1:80", "unusual form"),
            ("2130706433:80", "unusual form"),
        ] {
            let error = text.parse::<AllowRule>().unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn a_rule_reads_back_what_it_prints() {
        for text in [
            "127.0.0.1:3100",
            "localhost:2583",
            "10.0.0.0/8",
            "host:*",
            "[fd00::/8]:8080",
            "fd00::1",
        ] {
            assert_eq!(rule(&rule(text).to_string()), rule(text));
        }
    }
}
