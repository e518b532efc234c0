//! Forged, expired and odd tokens.

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::*;

fn keys(seed: u8) -> TokenKeys {
    TokenKeys {
        access: Zeroizing::new([seed; 32]),
        refresh: Zeroizing::new([seed + 1; 32]),
    }
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(seconds * SECOND)
}
fn bearer() -> Bearer {
    Bearer {
        user: UserId::derived(&["u"]),
        session: SessionId::derived(&["s"]),
    }
}
fn claims() -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": bearer().user, "sid": bearer().session, "iat": 1000, "exp": 1600})
}
fn signed(header: Value, claims: &Value, key: &[u8]) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(&header), part(claims));
    let mut full = hmac::Hmac::<sha2::Sha256>::new_from_slice(key).unwrap();
    full.update(text.as_bytes());
    format!(
        "{text}.{}",
        URL_SAFE_NO_PAD.encode(full.finalize().into_bytes())
    )
}
use hmac::{KeyInit as _, Mac as _};

fn header() -> Value {
    json!({"alg": "HS256", "typ": TYPE})
}

#[test]
fn a_token_is_good_until_its_end_by_our_clock() {
    let token = issue_access(&keys(1), bearer(), at(1000)).unwrap();
    assert_eq!(read_access(&keys(1), &token, at(1000)), Some(bearer()));
    assert_eq!(read_access(&keys(1), &token, at(1599)), Some(bearer()));
    assert_eq!(read_access(&keys(1), &token, at(1600)), None);
    assert_eq!(read_access(&keys(2), &token, at(1000)), None);
    assert_eq!(
        read_access(&keys(1), &signed(header(), &claims(), &[1; 32]), at(1000)),
        Some(bearer())
    );
}

#[test]
fn forged_headers_are_refused() {
    for header in [
        json!({"alg": "none", "typ": TYPE}),
        json!({"alg": "None", "typ": TYPE}),
        json!({"alg": "HS384", "typ": TYPE}),
        json!({"alg": "RS256", "typ": TYPE}),
        json!({"alg": "HS256", "typ": "JWT"}),
        json!({"alg": "HS256"}),
        json!({"alg": "HS256", "typ": TYPE, "kid": "../../dev/null"}),
        json!({"alg": "HS256", "typ": TYPE, "jku": "https://evil.example/keys"}),
    ] {
        let token = signed(header.clone(), &claims(), &[1; 32]);
        assert_eq!(read_access(&keys(1), &token, at(1000)), None, "{header}");
    }
}

#[test]
fn odd_claims_are_refused() {
    let mut odd = Vec::new();
    for name in ["iss", "aud", "sub", "sid", "iat", "exp"] {
        let mut missing = claims();
        missing.as_object_mut().unwrap().remove(name);
        odd.push(missing);
    }
    for (name, value) in [
        ("iss", json!("somebody")),
        ("aud", json!("something")),
        ("sub", json!("sess_1")),
        ("exp", json!("1600")),
        ("exp", json!(1_600_000_000_000_i64)),
        ("exp", json!(1e300)),
        ("iat", json!(99_999)),
        ("role", json!("owner")),
    ] {
        let mut changed = claims();
        changed[name] = value;
        odd.push(changed);
    }
    for claims in odd {
        let token = signed(header(), &claims, &[1; 32]);
        assert_eq!(read_access(&keys(1), &token, at(1000)), None, "{claims}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let token = issue_access(&keys(1), bearer(), at(1000)).unwrap();
    let (start, _) = token.rsplit_once('.').unwrap();
    for text in [
        "",
        ".",
        "..",
        "a.b.c",
        start,
        &format!("{start}."),
        &format!("{token}x"),
        &"x".repeat(1 << 20),
    ] {
        assert_eq!(read_access(&keys(1), text, at(1000)), None);
    }
}

#[test]
fn a_refresh_token_round_trips_and_every_changed_letter_is_noticed() {
    let token = RefreshToken::first(bearer().session, [9; 32]);
    let text = token.to_text(&keys(1));
    assert_eq!(RefreshToken::read(&keys(1), &text), Some(token.clone()));
    assert_eq!(RefreshToken::read(&keys(2), &text), None);
    for at in 0..text.len() {
        let mut bytes = text.clone().into_bytes();
        bytes[at] = if bytes[at] == b'0' { b'1' } else { b'0' };
        let changed = String::from_utf8(bytes).unwrap();
        assert_eq!(RefreshToken::read(&keys(1), &changed), None, "{changed}");
    }
    assert!(!text.contains(&token.hash()));
}

#[test]
fn the_successor_is_always_the_same_and_another() {
    let token = RefreshToken::first(bearer().session, [9; 32]);
    let next = token.successor(&keys(1));
    assert_eq!(next, token.successor(&keys(1)));
    assert_ne!(next.hash(), token.hash());
    assert_ne!(next, token.successor(&keys(2)));
}
