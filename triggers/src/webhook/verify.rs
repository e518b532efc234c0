//! Verification and signing of webhook calls.

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use subtle::ConstantTimeEq as _;

/// A signature may be this many seconds old, or ahead (Standard Webhooks' reference libraries).
pub const TOLERANCE_S: i64 = 300;
/// Longest delivery id taken from a header.
const ID_LENGTH_MAX: usize = 255;

/// How a hook's calls are verified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "scheme", rename_all = "snake_case", deny_unknown_fields)]
pub enum Verification {
    /// The secret address is enough.
    None {},
    /// A header holds an HMAC-SHA256 of the body under the hook's secret.
    Hmac {
        /// Header name, such as `x-hub-signature-256`.
        header: String,
        /// Text before the signature, such as `sha256=`.
        #[serde(default)]
        prefix: String,
        /// How the signature is written.
        encoding: HmacEncoding,
    },
    /// Headers `webhook-id`, `webhook-timestamp`, `webhook-signature`.
    StandardWebhooks {},
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HmacEncoding {
    /// Hexadecimal.
    Hex,
    /// Base64.
    Base64,
}

/// Why a call was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// A header is missing.
    #[error("the header {0} is missing")]
    MissingHeader(String),
    /// A header cannot be read.
    #[error("the header {0} cannot be read")]
    BadHeader(String),
    /// The signature is of another body, or made with another secret.
    #[error("the signature does not match the body")]
    WrongSignature,
    /// The signature is too old, or from the future.
    #[error("the timestamp is more than {TOLERANCE_S} seconds away from now")]
    OutOfTime,
    /// The hook's secret is not what the scheme needs.
    #[error("the hook's secret cannot be used: {0}")]
    BadSecret(&'static str),
}

/// Checks a call.
///
/// `header` looks a header up without regard to case; `now_s` is the server's
/// clock in seconds.
pub fn verify<'a>(
    scheme: &Verification,
    secret: &str,
    header: impl Fn(&str) -> Option<&'a str>,
    body: &[u8],
    now_s: i64,
) -> Result<(), VerifyError> {
    let get = |name: &str| header(name).ok_or_else(|| VerifyError::MissingHeader(name.to_string()));
    match scheme {
        Verification::None {} => Ok(()),
        Verification::Hmac {
            header: name,
            prefix,
            encoding,
        } => {
            let given = get(name)?
                .strip_prefix(prefix.as_str())
                .ok_or_else(|| VerifyError::BadHeader(name.clone()))?;
            let mac = mac(secret.as_bytes(), &[body])?;
            let wanted = match encoding {
                HmacEncoding::Hex => hex(&mac),
                HmacEncoding::Base64 => BASE64.encode(mac),
            };
            let given = match encoding {
                HmacEncoding::Hex => given.to_ascii_lowercase(),
                HmacEncoding::Base64 => given.to_string(),
            };
            if bool::from(wanted.as_bytes().ct_eq(given.as_bytes())) {
                Ok(())
            } else {
                Err(VerifyError::WrongSignature)
            }
        }
        Verification::StandardWebhooks {} => {
            let id = get("webhook-id")?;
            let timestamp = get("webhook-timestamp")?;
            let given = get("webhook-signature")?;
            let at: i64 = timestamp
                .parse()
                .map_err(|_| VerifyError::BadHeader("webhook-timestamp".into()))?;
            if now_s.abs_diff(at) > TOLERANCE_S.unsigned_abs() {
                return Err(VerifyError::OutOfTime);
            }
            let wanted = sign(secret, id, at, body)?;
            // Several signatures may be listed while a secret is being changed.
            let mut matches = false;
            for one in given.split(' ').take(16) {
                matches |= bool::from(wanted.as_bytes().ct_eq(one.as_bytes()));
            }
            if matches {
                Ok(())
            } else {
                Err(VerifyError::WrongSignature)
            }
        }
    }
}

/// The Standard Webhooks signature `v1,…` of a message.
pub fn sign(secret: &str, id: &str, timestamp_s: i64, body: &[u8]) -> Result<String, VerifyError> {
    let encoded = secret
        .strip_prefix("whsec_")
        .ok_or(VerifyError::BadSecret("it does not begin with whsec_"))?;
    let key = BASE64
        .decode(encoded)
        .map_err(|_| VerifyError::BadSecret("it is not base64"))?;
    let head = format!("{id}.{timestamp_s}.");
    Ok(format!(
        "v1,{}",
        BASE64.encode(mac(&key, &[head.as_bytes(), body])?)
    ))
}

/// A Standard Webhooks secret from 32 random bytes.
pub fn new_signing_secret(random: &[u8; 32]) -> String {
    format!("whsec_{}", BASE64.encode(random))
}

/// Identity of a delivery: what the sender calls it, or none.
pub fn dedupe_id<'a>(header: impl Fn(&str) -> Option<&'a str>) -> Option<String> {
    [
        "idempotency-key",
        "webhook-id",
        "ce-id",
        "x-github-delivery",
        "x-request-id",
    ]
    .into_iter()
    .find_map(header)
    .filter(|id| !id.is_empty() && id.len() <= ID_LENGTH_MAX)
    .map(str::to_string)
}

fn mac(key: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>, VerifyError> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key).map_err(|_| VerifyError::BadSecret("its length"))?;
    for part in parts {
        mac.update(part);
    }
    Ok(mac.finalize().into_bytes().to_vec())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const AT: i64 = 1_614_265_330;

    fn headers<'a>(signature: &'a str) -> impl Fn(&str) -> Option<&'a str> + use<'a> {
        move |name| match name {
            "webhook-id" => Some(ID),
            "webhook-timestamp" => Some("1614265330"),
            "webhook-signature" => Some(signature),
            _ => None,
        }
    }

    #[test]
    fn a_timestamp_at_the_end_of_time_is_out_of_time() {
        for at in [i64::MIN, i64::MIN + AT, i64::MAX] {
            let (text, signature) = (at.to_string(), sign(SECRET, ID, at, BODY).unwrap());
            let header = |name: &str| match name {
                "webhook-timestamp" => Some(text.as_str()),
                _ => headers(&signature)(name),
            };
            let scheme = Verification::StandardWebhooks {};
            let checked = verify(&scheme, SECRET, header, BODY, AT);
            assert_eq!(checked, Err(VerifyError::OutOfTime), "{at}");
        }
    }

    #[test]
    fn the_published_test_vector_of_standard_webhooks_is_met() {
        let signature = sign(SECRET, ID, AT, BODY).unwrap();
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let scheme = Verification::StandardWebhooks {};
        assert_eq!(
            verify(&scheme, SECRET, headers(&signature), BODY, AT + 10),
            Ok(())
        );
        let two = format!("v1,AAAA {signature}");
        assert_eq!(verify(&scheme, SECRET, headers(&two), BODY, AT), Ok(()));
    }

    #[test]
    fn an_altered_old_or_unsigned_call_is_refused_with_the_reason() {
        let scheme = Verification::StandardWebhooks {};
        let signature = sign(SECRET, ID, AT, BODY).unwrap();
        assert_eq!(
            verify(&scheme, SECRET, headers(&signature), b"{}", AT),
            Err(VerifyError::WrongSignature)
        );
        assert_eq!(
            verify(
                &scheme,
                SECRET,
                headers(&signature),
                BODY,
                AT + TOLERANCE_S + 1
            ),
            Err(VerifyError::OutOfTime)
        );
        assert_eq!(
            verify(&scheme, SECRET, |_| None, BODY, AT),
            Err(VerifyError::MissingHeader("webhook-id".into()))
        );
    }

    #[test]
    fn an_hmac_with_a_prefix_is_checked_as_github_sends_it() {
        let scheme = Verification::Hmac {
            header: "x-hub-signature-256".into(),
            prefix: "sha256=".into(),
            encoding: HmacEncoding::Hex,
        };
        // Example of GitHub's documentation on validating deliveries.
        let given = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        let header = |name: &str| (name == "x-hub-signature-256").then_some(given);
        let secret = "It's a Secret to Everybody";
        assert_eq!(
            verify(&scheme, secret, header, b"Hello, World!", AT),
            Ok(())
        );
        assert_eq!(
            verify(&scheme, secret, header, b"Hello, World?", AT),
            Err(VerifyError::WrongSignature)
        );
    }
}
