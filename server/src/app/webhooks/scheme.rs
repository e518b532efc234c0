//! How calls are verified, as people choose it.
//!
//! Invariant: a scheme is stored only with a secret that it can use.

use so_model::{
    api::hook::{HookVerify, SignatureEncoding},
    problem::FieldError,
};
use so_store::hooks::Hook;
use so_triggers::webhook::{HmacEncoding, Verification, sign};

use crate::app::failure::{Failure, Outcome};

/// Longest header name and prefix; real ones have about 30 characters.
const HEADER_MAX: usize = 100;
/// Longest secret that a sender may have chosen.
const SECRET_MAX: usize = 500;

pub(super) fn check_verify(verify: &HookVerify) -> Vec<FieldError> {
    let HookVerify::Hmac { header, prefix, .. } = verify else {
        return Vec::new();
    };
    let mut errors = Vec::new();
    let is_name = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
    };
    if header.is_empty() || header.len() > HEADER_MAX || !is_name(header) {
        errors.push(
            FieldError::new("/verify/header", "is no header name")
                .expected("a name such as x-hub-signature-256"),
        );
    }
    if prefix.len() > HEADER_MAX || !prefix.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        errors.push(
            FieldError::new("/verify/prefix", "cannot stand in a header")
                .expected("a short text such as sha256="),
        );
    }
    errors
}

pub(super) fn check_secret(verify: &HookVerify, secret: Option<&str>) -> Option<FieldError> {
    let secret = secret?;
    if *verify == (HookVerify::None {}) {
        return Some(
            FieldError::new("/secret", "nothing is signed")
                .expected("a scheme that signs, or no secret"),
        );
    }
    if secret.len() < 8 || secret.len() > SECRET_MAX {
        return Some(
            FieldError::new("/secret", "has an unfit length")
                .expected(format!("8 to {SECRET_MAX} characters")),
        );
    }
    fits(verify, secret)
        .then_some(())
        .map_or_else(|| Some(unfit("/secret")), |()| None)
}

// Standard Webhooks asks for a secret of its own form; any text will do for a plain HMAC.
fn fits(verify: &HookVerify, secret: &str) -> bool {
    !matches!(verify, HookVerify::StandardWebhooks {}) || sign(secret, "probe", 0, b"").is_ok()
}

fn unfit(pointer: &str) -> FieldError {
    FieldError::new(pointer, "does not fit Standard Webhooks").expected("whsec_ and base64")
}

pub(super) fn check_fits(verify: &HookVerify, secret: Option<&str>) -> Outcome<()> {
    if *verify == (HookVerify::None {}) || secret.is_some_and(|secret| fits(verify, secret)) {
        return Ok(());
    }
    let mut failure = Failure::new(
        409,
        "hook.secret_unfit",
        "The webhook has no secret for this",
    )
    .next_step("Replace the secret first, then change how calls are verified.");
    failure.problem.errors = vec![FieldError::new(
        "/verify/scheme",
        "needs a secret that the webhook does not have",
    )];
    Err(failure)
}

/// As the triggers know it.
pub(crate) fn verification(verify: &HookVerify) -> Verification {
    match verify {
        HookVerify::None {} => Verification::None {},
        HookVerify::StandardWebhooks {} => Verification::StandardWebhooks {},
        HookVerify::Hmac {
            header,
            prefix,
            encoding,
        } => Verification::Hmac {
            header: header.to_ascii_lowercase(),
            prefix: prefix.clone(),
            encoding: match encoding {
                SignatureEncoding::Hex => HmacEncoding::Hex,
                SignatureEncoding::Base64 => HmacEncoding::Base64,
            },
        },
    }
}

pub(super) fn stored(verify: &HookVerify) -> Outcome<serde_json::Value> {
    serde_json::to_value(verify).map_err(|_| Failure::internal())
}

pub(super) fn verify_of(hook: &Hook) -> Outcome<HookVerify> {
    serde_json::from_value(hook.verify.clone()).map_err(|error| {
        tracing::error!(hook.id = %hook.id, %error, "a webhook's verification cannot be read");
        Failure::internal()
    })
}
