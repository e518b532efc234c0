//! Decides whether an address belongs to the public internet.
//!
//! Owns the table of special-purpose ranges. Must not know about names, ports or the owner's allow-list.
//! Invariant: arithmetic on addresses only, never on their text, so one address has one answer in every spelling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// True when `ip` may be reached by a request whose target a user chose.
///
/// Forms that carry an IPv4 address (mapped, NAT64) are judged by the address inside them, since that is
/// where the packets go.
pub fn is_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// Ranges that are not the public internet: RFC 6890 and its successors, plus addresses inside public ranges
/// that cloud hosts answer themselves.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8), // "this host", reaches loopback on Linux
    (Ipv4Addr::new(10, 0, 0, 0), 8), // private
    (Ipv4Addr::new(100, 64, 0, 0), 10), // carrier-grade NAT, also a cloud metadata address
    (Ipv4Addr::new(127, 0, 0, 0), 8), // loopback
    (Ipv4Addr::new(168, 63, 129, 16), 32), // a cloud host's own agent endpoint
    (Ipv4Addr::new(169, 254, 0, 0), 16), // link-local, cloud metadata
    (Ipv4Addr::new(172, 16, 0, 0), 12), // private
    (Ipv4Addr::new(192, 0, 0, 0), 24), // protocol assignments
    (Ipv4Addr::new(192, 0, 2, 0), 24), // documentation
    (Ipv4Addr::new(192, 88, 99, 0), 24), // 6to4 relays
    (Ipv4Addr::new(192, 168, 0, 0), 16), // private
    (Ipv4Addr::new(198, 18, 0, 0), 15), // benchmarks
    (Ipv4Addr::new(198, 51, 100, 0), 24), // documentation
    (Ipv4Addr::new(203, 0, 113, 0), 24), // documentation
    (Ipv4Addr::new(224, 0, 0, 0), 4), // multicast
    (Ipv4Addr::new(240, 0, 0, 0), 4), // reserved and broadcast
];

/// Parts of 2000::/3 that are not ordinary hosts.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23), // Teredo, benchmarks, ORCHID
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32), // documentation
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16), // 6to4 wraps any IPv4 address
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20), // documentation
];

const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

fn is_public_v4(ip: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|&(net, bits)| in_v4(ip, net, bits))
}

fn is_public_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_public_v4(v4);
    }
    if in_v6(ip, NAT64.0, NAT64.1) {
        let [.., a, b, c, d] = ip.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    // Only 2000::/3 is given out for hosts. Everything else (::1, ::a.b.c.d, fc00::/7, fe80::/10, ff00::/8,
    // discard and local NAT64 prefixes, ranges not yet assigned) is refused without being listed.
    if ip.segments()[0] & 0xe000 != 0x2000 {
        return false;
    }
    let segments = ip.segments();
    // ISATAP hides an IPv4 address behind any prefix.
    let isatap = segments[4] & 0xfdff == 0 && segments[5] == 0x5efe;
    !isatap && !SPECIAL_V6.iter().any(|&(net, bits)| in_v6(ip, net, bits))
}

/// True when `ip` shares the first `bits` with `net`.
pub(crate) fn in_v4(ip: Ipv4Addr, net: Ipv4Addr, bits: u32) -> bool {
    let mask = u32::MAX.checked_shl(32 - bits.min(32)).unwrap_or(0);
    u32::from(ip) & mask == u32::from(net) & mask
}

/// True when `ip` shares the first `bits` with `net`.
pub(crate) fn in_v6(ip: Ipv6Addr, net: Ipv6Addr, bits: u32) -> bool {
    let mask = u128::MAX.checked_shl(128 - bits.min(128)).unwrap_or(0);
    u128::from(ip) & mask == u128::from(net) & mask
}
