//! Signatures of webhook calls.
//!
//! Owns the promise of `webhook`: a call passes if and only if its signature is the one that a
//! second computation gives, within the tolerance. Input: secret, header line for the HMAC scheme,
//! id, timestamp and signature of the standard scheme; an empty line; the body. A signature `=` is
//! replaced by the right one, so that both sides of the check are reached.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use so_triggers::webhook::{HmacEncoding, Verification, dedupe_id, sign, verify};

const NOW_S: i64 = 1_774_745_940;
const TOLERANCE_S: i64 = 300;

pub(crate) fn run(data: &[u8]) {
    let text = crate::text_of(data);
    let (head, body) = crate::head_and_body(&text);
    let line = |n: usize| head.get(n).copied().unwrap_or("");
    hmac_scheme(line(0), line(1), body.as_bytes());
    standard_scheme(line(0), line(2), line(3), line(4), body.as_bytes());
    let id = dedupe_id(|name| (name == "webhook-id").then(|| line(2)));
    assert!(id.is_none_or(|id| !id.is_empty()));
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hmac_scheme(secret: &str, given: &str, body: &[u8]) {
    let right = mac(secret.as_bytes(), &[body]);
    let hex: String = right.iter().map(|byte| format!("{byte:02x}")).collect();
    for (encoding, wanted) in [
        (HmacEncoding::Hex, hex),
        (HmacEncoding::Base64, BASE64.encode(&right)),
    ] {
        let scheme = Verification::Hmac {
            header: "x-sig".into(),
            prefix: "sha256=".into(),
            encoding,
        };
        let given = if given == "=" {
            format!("sha256={wanted}")
        } else {
            given.to_owned()
        };
        let passed = verify(&scheme, secret, |_| Some(given.as_str()), body, NOW_S).is_ok();
        let should = given
            .strip_prefix("sha256=")
            .is_some_and(|given| match encoding {
                HmacEncoding::Hex => given.eq_ignore_ascii_case(&wanted),
                HmacEncoding::Base64 => given == wanted,
            });
        assert_eq!(passed, should, "hmac over {given:?}");
    }
}

fn standard_scheme(secret: &str, id: &str, timestamp: &str, given: &str, body: &[u8]) {
    let at = timestamp.parse::<i64>();
    let right = at.as_ref().ok().and_then(|at| {
        let key = BASE64.decode(secret.strip_prefix("whsec_")?).ok()?;
        let head = format!("{id}.{at}.");
        Some(format!(
            "v1,{}",
            BASE64.encode(mac(&key, &[head.as_bytes(), body]))
        ))
    });
    if let (Ok(at), Some(right)) = (&at, &right) {
        assert_eq!(
            sign(secret, id, *at, body).as_ref(),
            Ok(right),
            "signed otherwise"
        );
    }
    let given = match (&right, given) {
        (Some(right), "=") => right.clone(),
        _ => given.to_owned(),
    };
    let header = |name: &str| match name {
        "webhook-id" => Some(id),
        "webhook-timestamp" => Some(timestamp),
        "webhook-signature" => Some(given.as_str()),
        _ => None,
    };
    let passed = verify(
        &Verification::StandardWebhooks {},
        secret,
        header,
        body,
        NOW_S,
    )
    .is_ok();
    let in_time =
        at.is_ok_and(|at| (i128::from(NOW_S) - i128::from(at)).abs() <= i128::from(TOLERANCE_S));
    let signed = right.is_some_and(|right| given.split(' ').take(16).any(|one| one == right));
    assert_eq!(passed, in_time && signed, "timestamp {timestamp:?}");
}
