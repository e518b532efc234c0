//! The table of address forms. Owns spellings; must not open sockets. Invariant: a form that is listed here as
//! private stays refused whatever the URL parser makes of it.

use std::net::{IpAddr, Ipv4Addr};

use crate::{BlockReason, Guard, NetError, is_public};

/// IPv4 addresses that are nobody's public host, at the edges and in the middle of their ranges.
const PRIVATE_V4: &[&str] = &[
    "0.0.0.0",
    "0.1.2.3",
    "0.255.255.255",
    "10.0.0.0",
    "10.1.2.3",
    "10.255.255.255",
    "100.64.0.0",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.0",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "168.63.129.16",
    "169.254.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "169.254.255.255",
    "172.16.0.0",
    "172.20.1.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.0",
    "192.168.1.1",
    "192.168.255.255",
    "198.18.0.0",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.254",
    "255.255.255.255",
];

const PUBLIC_V4: &[&str] = &[
    "1.0.0.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.0",
    "100.63.255.255",
    "100.128.0.0",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "169.255.0.0",
    "172.15.255.255",
    "172.32.0.0",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.0",
    "198.17.255.255",
    "198.20.0.0",
    "223.255.255.255",
    "168.63.129.15",
    "168.63.129.17",
];

const PRIVATE_V6: &[&str] = &[
    "::",
    "::1",
    "::2",
    "::7f00:1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1::7f00:1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378::1",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:1ff::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "2a00:1450::5efe:7f00:1",
    "2a00:1450::200:5efe:a00:1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe00::1",
    "fe80::1",
    "fe80::a:b:c:d",
    "febf::1",
    "fec0::1",
    "feff::1",
    "ff00::1",
    "ff02::1",
    "ff0e::1",
];

const PUBLIC_V6: &[&str] = &[
    "2001:200::1",
    "2001:4860:4860::8888",
    "2606:4700::1111",
    "2a00:1450:4001::64",
    "2003::1",
    "3ffe::1",
];

/// Every spelling of an IPv4 address that some parser takes for it.
fn spellings(ip: Ipv4Addr) -> Vec<String> {
    let [a, b, c, d] = ip.octets();
    let n = u32::from(ip);
    let (high, low) = (n >> 16, n & 0xffff);
    vec![
        format!("{ip}"),
        format!("{ip}."),
        format!("{n}"),
        format!("{n:#x}"),
        format!("{n:#X}"),
        format!("0{n:o}"),
        format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"),
        format!("0{a:o}.0{b:o}.0{c:o}.0{d:o}"),
        format!("0000{a:o}.{b}.{c:#x}.{d}"),
        format!("{a}.{}", n & 0xff_ffff),
        format!("{a}.{b}.{low}"),
        format!(
            "%3{}{}",
            ip.to_string().as_bytes()[0] - b'0',
            &ip.to_string()[1..]
        ),
        format!("{a}\u{3002}{b}\u{3002}{c}\u{3002}{d}"),
        ip.to_string()
            .chars()
            .map(|x| {
                if x == '.' {
                    x
                } else {
                    char::from_u32(x as u32 + 0xfee0).unwrap()
                }
            })
            .collect(),
        format!("[::ffff:{ip}]"),
        format!("[::ffff:{high:x}:{low:x}]"),
        format!("[0:0:0:0:0:FFFF:{high:X}:{low:X}]"),
        format!("[0000:0000:0000:0000:0000:ffff:{high:04x}:{low:04x}]"),
        format!("[64:ff9b::{ip}]"),
        format!("[64:ff9b::{high:x}:{low:x}]"),
        format!("[2002:{high:x}:{low:x}::]"),
        format!("[2002:{high:x}:{low:x}::1]"),
        format!("[::{ip}]"),
        format!("[::ffff:0:{high:x}:{low:x}]"),
        format!("[fe80::{high:x}:{low:x}%25eth0]"),
        format!("[fe80::{high:x}:{low:x}%eth0]"),
        format!("user@{ip}"),
        format!("8.8.8.8@{ip}"),
        format!("8.8.8.8:80@{ip}:80"),
        format!("{ip}:80"),
        format!("{ip}:443"),
        format!("{ip}:22"),
        format!("\t{ip}\n"),
    ]
}

#[test]
fn no_spelling_of_a_private_address_gets_past_the_url_check() {
    let guard = Guard::default();
    let mut tried = 0;
    for text in PRIVATE_V4 {
        for spelling in spellings(text.parse().unwrap()) {
            for scheme in ["http", "https", "HTTP", "http:/", "https:\\"] {
                let url = match scheme.ends_with(['/', '\\']) {
                    true => format!("{scheme}{spelling}/x"),
                    false => format!("{scheme}://{spelling}/x"),
                };
                let verdict = guard.check_text(&url, true);
                assert!(
                    verdict.is_err(),
                    "{url} was let through as {:?}",
                    verdict.map(|u| u.to_string())
                );
                tried += 1;
            }
        }
    }
    for text in PRIVATE_V6 {
        let verdict = guard.check_text(&format!("https://[{text}]/"), true);
        assert!(
            matches!(
                &verdict,
                Err(NetError::Blocked {
                    reason: BlockReason::PrivateAddress(_),
                    ..
                })
            ),
            "{text}: {verdict:?}"
        );
        tried += 1;
    }
    assert!(tried > 5000, "{tried}");
}

#[test]
fn addresses_are_judged_by_their_value() {
    for text in PRIVATE_V4.iter().chain(PRIVATE_V6) {
        assert!(!is_public(text.parse().unwrap()), "{text}");
    }
    for text in PUBLIC_V4.iter().chain(PUBLIC_V6) {
        assert!(is_public(text.parse().unwrap()), "{text}");
    }
    for (list, expected) in [(PRIVATE_V4, false), (PUBLIC_V4, true)] {
        for text in list {
            let v4: Ipv4Addr = text.parse().unwrap();
            for carrier in [format!("::ffff:{v4}"), format!("64:ff9b::{v4}")] {
                assert_eq!(
                    is_public(carrier.parse::<IpAddr>().unwrap()),
                    expected,
                    "{carrier}"
                );
            }
            assert!(!is_public(
                format!("2002:{:x}:1::", v4.octets()[0]).parse().unwrap()
            ));
        }
    }
}

#[test]
fn public_addresses_pass_on_web_ports_only() {
    let guard = Guard::default();
    for text in PUBLIC_V4 {
        assert!(
            guard.check_text(&format!("https://{text}/"), false).is_ok(),
            "{text}"
        );
        assert!(
            guard
                .check_text(&format!("https://{text}:80/"), false)
                .is_ok(),
            "{text}"
        );
        assert!(
            guard
                .check_text(&format!("https://{text}:8443/"), false)
                .is_err(),
            "{text}"
        );
    }
    for text in PUBLIC_V6 {
        assert!(
            guard
                .check_text(&format!("https://[{text}]/"), false)
                .is_ok(),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_web_address_is_refused_with_its_reason() {
    let guard = Guard::default();
    let reason = |url: &str| {
        guard
            .check_text(url, false)
            .unwrap_err()
            .block_reason()
            .cloned()
    };
    for scheme in [
        "file:///etc/passwd",
        "gopher://a.example/",
        "ftp://a.example/",
        "unix:/run/x",
        "data:text/plain,x",
    ] {
        assert!(
            matches!(reason(scheme), Some(BlockReason::Scheme(_))),
            "{scheme}"
        );
    }
    assert_eq!(
        reason("https://user:pass@a.example/"),
        Some(BlockReason::Credentials)
    );
    assert_eq!(
        reason("https://token@a.example/"),
        Some(BlockReason::Credentials)
    );
    assert_eq!(reason("http://a.example/"), Some(BlockReason::PlainHttp));
    assert_eq!(reason("https://a.example:22/"), Some(BlockReason::Port(22)));
    for bad in [
        "",
        "a.example",
        "https://",
        "https://[::1",
        "https://[fe80::1%25eth0]/",
        "https://1.2.3.4.5/",
        "//a",
    ] {
        assert!(
            matches!(guard.check_text(bad, false), Err(NetError::BadUrl(_))),
            "{bad}"
        );
    }
    assert!(
        guard
            .check_text(&format!("https://a.example/{}", "x".repeat(9000)), false)
            .is_err()
    );
}

#[test]
fn refusals_never_repeat_the_path_or_query() {
    let guard = Guard::default();
    for url in [
        "https://10.0.0.1/hush?t=hush",
        "https://u:hush@a.example/",
        "https://a.example:99/hush",
        "ftp://h/hush",
    ] {
        let error = guard.check_text(url, false).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
