//! Calls to an account's own server.
//!
//! Owns addresses of calls and the reading of sessions. Must not renew a
//! session by itself. Invariant: the server is the one that the account's
//! identity document names.

use base64::Engine as _;
use serde_json::{Value, json};
use so_model::{Timestamp, account::Account, time::HOUR, time::SECOND};
use so_net::OutboundRequest;

use super::{KEY, errors::ERRORS};
use crate::{
    ConnectorError, Cx, ErrorClass, SecretValue,
    call::{Dialect, text_of, url_of},
    error::Said,
};

pub(super) static DIALECT: Dialect = Dialect {
    network: KEY,
    errors: ERRORS,
    said,
};

/// Life of a session whose token does not say: less than the shortest one known (two hours).
const SESSION_LIFE: i64 = HOUR;

fn said(body: &Value) -> Said {
    Said {
        error: text_of(body, "error").unwrap_or_default(),
        message: text_of(body, "message").unwrap_or_default(),
    }
}

/// An account's server and name.
pub(super) struct Repo<'a> {
    pub pds: String,
    pub did: String,
    pub access: &'a str,
}

impl<'a> Repo<'a> {
    /// As kept with the account and its token.
    pub fn of(account: &Account, token: &'a SecretValue) -> Result<Self, ConnectorError> {
        let access = token.text("access_jwt").ok_or_else(no_session)?;
        Ok(Self {
            pds: pds_of(account)?,
            did: account.remote_id.clone(),
            access,
        })
    }

    /// A question to the server.
    pub fn query(
        &self,
        method: &str,
        params: &[(&str, &str)],
    ) -> Result<OutboundRequest, ConnectorError> {
        Ok(OutboundRequest::get(xrpc(&self.pds, method, params)?).bearer(self.access))
    }

    /// A call that changes something.
    pub fn procedure(&self, method: &str) -> Result<OutboundRequest, ConnectorError> {
        Ok(OutboundRequest::post(xrpc(&self.pds, method, &[])?).bearer(self.access))
    }
}

fn no_session() -> ConnectorError {
    ConnectorError::new(
        ErrorClass::Reconnect,
        "bluesky.session_missing",
        "There is no session for this account.",
    )
    .next_step("Connect the account again with a new app password.")
}

/// The account's own server.
pub(super) fn pds_of(account: &Account) -> Result<String, ConnectorError> {
    text_of(&account.settings, "pds").ok_or_else(no_session)
}

/// The address of a call.
pub(super) fn xrpc(
    base: &str,
    method: &str,
    params: &[(&str, &str)],
) -> Result<String, ConnectorError> {
    url_of(KEY, base, &["xrpc", method], params)
}

/// A session as the server gives it.
pub(super) struct Session {
    pub did: String,
    pub handle: String,
    pub pds: Option<String>,
    pub token: SecretValue,
    pub expires_at: Timestamp,
}

/// Reads a session.
pub(super) fn read_session(cx: &Cx, answer: &Value) -> Result<Session, ConnectorError> {
    let member = |key: &str| text_of(answer, key).filter(|text| !text.is_empty());
    let (Some(did), Some(access), Some(refresh)) =
        (member("did"), member("accessJwt"), member("refreshJwt"))
    else {
        return Err(ConnectorError::garbled(KEY, 200));
    };
    if answer.get("active") == Some(&Value::Bool(false)) {
        return Err(ConnectorError::new(
            ErrorClass::AccountProblem,
            "bluesky.account_inactive",
            "This account is deactivated or taken down.",
        )
        .next_step("Sign in to Bluesky and read its notice."));
    }
    Ok(Session {
        handle: member("handle").unwrap_or_else(|| did.clone()),
        pds: pds_in(answer.get("didDoc").unwrap_or(&Value::Null)),
        expires_at: expiry_of(&access).unwrap_or_else(|| cx.now.plus(SESSION_LIFE)),
        token: SecretValue::new(json!({ "access_jwt": access, "refresh_jwt": refresh })),
        did,
    })
}

fn pds_in(document: &Value) -> Option<String> {
    let services = document.get("service")?.as_array()?;
    let service = services.iter().find(|service| {
        text_of(service, "id").is_some_and(|id| id.ends_with("#atproto_pds"))
            && text_of(service, "type").as_deref() == Some("AtprotoPersonalDataServer")
    })?;
    text_of(service, "serviceEndpoint").map(|url| url.trim_end_matches('/').to_owned())
}

// The token is the server's; its end is read as a hint only, so no signature is checked.
fn expiry_of(jwt: &str) -> Option<Timestamp> {
    let payload = jwt.split('.').nth(1)?;
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(payload)
        .ok()?;
    let claims: Value = serde_json::from_slice(&bytes).ok()?;
    Some(Timestamp::from_micros(
        claims.get("exp")?.as_i64()?.checked_mul(SECOND)?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_session_is_read_from_its_token() {
        let payload =
            base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(r#"{"exp":1780000000}"#);
        assert_eq!(
            expiry_of(&format!("h.{payload}.s")),
            Some(Timestamp::from_micros(1_780_000_000_000_000))
        );
        assert_eq!(expiry_of("opaque"), None);
        assert_eq!(expiry_of("a.%.c"), None);
    }

    #[test]
    fn the_server_is_the_one_of_the_identity_document() {
        let document = json!({"service": [
            {"id": "#other", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://no.example"},
            {"id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": "https://pds.example/"},
        ]});
        assert_eq!(pds_in(&document).as_deref(), Some("https://pds.example"));
        assert_eq!(pds_in(&Value::Null), None);
    }
}
