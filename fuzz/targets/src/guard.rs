//! The guard of outgoing calls against arithmetic on addresses.
//!
//! Owns the promise of `net`: a literal address passes if and only if it is one of the public
//! internet, in whatever spelling. Input: a URL; the first sixteen bytes are an address as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use so_net::{AllowRule, Guard, is_public};

pub(crate) fn run(data: &[u8]) {
    let text = crate::text_of(data);
    let guard = Guard::default();
    if let Ok(url) = guard.check_text(&text, false) {
        assert_eq!(url.scheme(), "https", "passed {url}");
        assert!(matches!(url.port(), None | Some(80)), "passed {url}");
        assert!(
            url.username().is_empty() && url.password().is_none(),
            "passed {url}"
        );
        let host = url.host_str().unwrap();
        if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
            assert!(may_be_public(ip), "passed {url}");
        } else if guard
            .permits(host, IpAddr::V4(Ipv4Addr::LOCALHOST), 443)
            .is_ok()
        {
            panic!("a name without an exception reaches loopback: {url}");
        }
    }
    // Exceptions are read from the owner's configuration: any text may stand there.
    drop(text.parse::<AllowRule>());
    if let Some(bytes) = data.first_chunk::<16>() {
        address(&guard, IpAddr::V6(Ipv6Addr::from(*bytes)));
    }
    if let Some(bytes) = data.first_chunk::<4>() {
        let v4 = Ipv4Addr::from(*bytes);
        address(&guard, IpAddr::V4(v4));
        spellings(&guard, v4);
        let [a, b, c, d] = v4.octets();
        for carrier in [
            v4.to_ipv6_mapped(),
            Ipv6Addr::new(
                0x64,
                0xff9b,
                0,
                0,
                0,
                0,
                u16::from_be_bytes([a, b]),
                u16::from_be_bytes([c, d]),
            ),
        ] {
            assert_eq!(
                is_public(carrier.into()),
                is_public(v4.into()),
                "{carrier} carries {v4}"
            );
        }
    }
}

fn address(guard: &Guard, ip: IpAddr) {
    assert_eq!(is_public(ip), may_be_public(ip), "{ip}");
    let permitted = guard.permits("host.example", ip, 443).is_ok();
    assert_eq!(permitted, may_be_public(ip), "{ip}");
    let url = match ip {
        IpAddr::V4(v4) => format!("https://{v4}/"),
        IpAddr::V6(v6) => format!("https://[{v6}]/"),
    };
    assert_eq!(
        guard.check_text(&url, false).is_ok(),
        may_be_public(ip),
        "{url}"
    );
}

/// Every way in which URL readers take an IPv4 address.
fn spellings(guard: &Guard, ip: Ipv4Addr) {
    let [a, b, c, d] = ip.octets().map(u32::from);
    let whole = u32::from(ip);
    for host in [
        format!("{whole}"),
        format!("{whole:#x}"),
        format!("0{whole:o}"),
        format!("{a}.{}", whole & 0xff_ffff),
        format!("{a}.{b}.{}", whole & 0xffff),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("{ip}."),
        format!("[::ffff:{ip}]"),
        format!("[64:ff9b::{ip}]"),
        ip.to_string().replace('.', "%2e"),
        ip.to_string().replace('.', "\u{3002}"),
    ] {
        let passed = guard.check_text(&format!("https://{host}/"), false).is_ok();
        assert!(
            !passed || may_be_public(IpAddr::V4(ip)),
            "{host} passed for {ip}"
        );
    }
}

/// A second opinion, from numbers alone: ranges as first and last address.
fn may_be_public(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4_may_be_public(u32::from(v4)),
        IpAddr::V6(v6) => v6_may_be_public(u128::from(v6)),
    }
}

fn v4_may_be_public(ip: u32) -> bool {
    const CLOSED: [(u32, u32); 15] = [
        (0x0000_0000, 0x00ff_ffff),
        (0x0a00_0000, 0x0aff_ffff),
        (0x6440_0000, 0x647f_ffff),
        (0x7f00_0000, 0x7fff_ffff),
        (0xa83f_8110, 0xa83f_8110),
        (0xa9fe_0000, 0xa9fe_ffff),
        (0xac10_0000, 0xac1f_ffff),
        (0xc000_0000, 0xc000_00ff),
        (0xc000_0200, 0xc000_02ff),
        (0xc058_6300, 0xc058_63ff),
        (0xc0a8_0000, 0xc0a8_ffff),
        (0xc612_0000, 0xc613_ffff),
        (0xc633_6400, 0xc633_64ff),
        (0xcb00_7100, 0xcb00_71ff),
        (0xe000_0000, 0xffff_ffff),
    ];
    !CLOSED
        .iter()
        .any(|(first, last)| (first..=last).contains(&&ip))
}

fn v6_may_be_public(ip: u128) -> bool {
    let low = u32::try_from(ip & 0xffff_ffff).unwrap();
    let high = ip >> 32;
    if high == 0xffff || high == 0x64_ff9b << 64 {
        return v4_may_be_public(low);
    }
    let first = ip >> 96;
    let is_global = ip >> 125 == 1;
    let is_protocol = first >> 9 == 0x2001_0000 >> 9;
    let is_example = first == 0x2001_0db8 || ip >> 108 == 0x3fff0;
    let is_6to4 = ip >> 112 == 0x2002;
    let middle = (ip >> 32) & 0xffff_ffff;
    let is_isatap = middle == 0x5efe || middle == 0x0200_5efe;
    is_global && !is_protocol && !is_example && !is_6to4 && !is_isatap
}
