//! Connecting an account with an app password.
//!
//! Owns sessions: making, renewing and checking them. Must not keep the
//! password. Invariant: what is sealed is a session, which the person can end
//! at Bluesky by removing the app password.

use serde_json::{Map, Value, json};
use so_model::account::Account;
use so_net::{OutboundRequest, Purpose, Url};

use super::{
    KEY,
    session::{DIALECT, Repo, read_session, xrpc},
};
use crate::{
    ConnectedAccount, ConnectorError, Cx, ErrorClass, Refresh, SecretValue, Verified, call::text_of,
};

/// Where accounts of Bluesky itself sign in.
const ENTRYWAY: &str = "https://bsky.social";

pub(super) async fn begin(
    cx: &Cx,
    form: &Map<String, Value>,
) -> Result<ConnectedAccount, ConnectorError> {
    let field = |key: &str| form.get(key).and_then(Value::as_str).unwrap_or("").trim();
    let own_server = field("service");
    let service = match own_server {
        "" => cx.config.base_url(KEY, ENTRYWAY),
        given => server_of(given, cx.config.allow_http)?,
    };
    let identifier = identifier_of(field("identifier"), own_server.is_empty())?;
    let password = field("password");
    if password.is_empty() || (own_server.is_empty() && !is_app_password(password)) {
        return Err(ConnectorError::form(
            KEY,
            "password",
            "That is not an app password; those look like abcd-efgh-ijkl-mnop.",
        )
        .next_step(
            "Make an app password in Bluesky's settings. The main password is not needed here.",
        ));
    }
    let request = OutboundRequest::post(xrpc(&service, "com.atproto.server.createSession", &[])?)
        .purpose(Purpose::Auth)
        .json(&json!({ "identifier": identifier, "password": password }));
    let answer = DIALECT.call(cx, request).await?;
    let session = read_session(cx, &answer)?;
    let pds = match &session.pds {
        Some(pds) => server_of(pds, cx.config.allow_http)?,
        None => service,
    };
    let profile = profile(cx, &pds, &session.did, &session.token).await;
    Ok(ConnectedAccount {
        name: display_name(&profile).unwrap_or_else(|| session.handle.clone()),
        handle: format!("@{}", session.handle),
        avatar_url: text_of(&profile, "avatar"),
        settings: json!({ "pds": pds, "handle": session.handle }),
        destinations: Vec::new(),
        token: session.token,
        token_expires_at: Some(session.expires_at),
        remote_id: session.did,
    })
}

fn display_name(profile: &Value) -> Option<String> {
    text_of(profile, "displayName").filter(|name| !name.trim().is_empty())
}

// Shown only; an account without a readable profile is connected all the same.
async fn profile(cx: &Cx, pds: &str, did: &str, token: &SecretValue) -> Value {
    let Ok(url) = xrpc(pds, "app.bsky.actor.getProfile", &[("actor", did)]) else {
        return Value::Null;
    };
    let request = OutboundRequest::get(url).bearer(token.text("access_jwt").unwrap_or(""));
    DIALECT.call(cx, request).await.unwrap_or(Value::Null)
}

fn server_of(text: &str, allow_http: bool) -> Result<String, ConnectorError> {
    let bad = || ConnectorError::form(KEY, "service", "That is not the https address of a server.");
    let text = if text.contains("://") {
        text.to_owned()
    } else {
        format!("https://{text}")
    };
    let url = Url::parse(&text).map_err(|_| bad())?;
    let is_scheme = url.scheme() == "https" || (url.scheme() == "http" && allow_http);
    let Some(host) = url.host_str().filter(|_| is_scheme) else {
        return Err(bad());
    };
    let port = url
        .port()
        .map(|port| format!(":{port}"))
        .unwrap_or_default();
    Ok(format!("{}://{host}{port}", url.scheme()))
}

fn identifier_of(text: &str, is_bluesky: bool) -> Result<String, ConnectorError> {
    // Handles copied from a page carry invisible direction marks.
    let clean: String = text.chars().filter(|c| c.is_ascii_graphic()).collect();
    let name = clean.trim_start_matches('@');
    if name.is_empty() {
        return Err(ConnectorError::form(
            KEY,
            "identifier",
            "The handle is missing.",
        ));
    }
    if name.starts_with("did:") || name.contains('.') {
        return Ok(name.to_owned());
    }
    if is_bluesky {
        return Ok(format!("{name}.bsky.social"));
    }
    Ok(name.to_owned())
}

fn is_app_password(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.len() == 4
        && groups
            .iter()
            .all(|group| group.len() == 4 && group.chars().all(|c| c.is_ascii_alphanumeric()))
}

pub(super) async fn refresh(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
) -> Result<Refresh, ConnectorError> {
    let repo = Repo::of(account, token)?;
    let refresh = token.text("refresh_jwt").unwrap_or("");
    let request = OutboundRequest::post(xrpc(&repo.pds, "com.atproto.server.refreshSession", &[])?)
        .purpose(Purpose::Auth)
        .bearer(refresh);
    let answer = DIALECT
        .call(cx, request)
        .await
        .map_err(|error| match error.class {
            // Nothing is left to renew with.
            ErrorClass::Expired => ConnectorError::new(
                ErrorClass::Reconnect,
                "bluesky.session_ended",
                "The session has ended; sessions that are not used end after about three months.",
            )
            .next_step("Connect the account again with a new app password."),
            _ => error,
        })?;
    let session = read_session(cx, &answer)?;
    if session.did != account.remote_id {
        return Err(ConnectorError::garbled(KEY, 200));
    }
    Ok(Refresh::Rotated {
        token: crate::oauth::merge(token, &session.token),
        expires_at: Some(session.expires_at),
    })
}

pub(super) async fn check(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
) -> Result<Verified, ConnectorError> {
    let repo = Repo::of(account, token)?;
    let session = DIALECT
        .call(cx, repo.query("com.atproto.server.getSession", &[])?)
        .await?;
    let handle = text_of(&session, "handle").unwrap_or_else(|| repo.did.clone());
    let profile = profile(cx, &repo.pds, &repo.did, token).await;
    Ok(Verified {
        name: display_name(&profile).unwrap_or_else(|| handle.clone()),
        avatar_url: text_of(&profile, "avatar").or_else(|| account.avatar_url.clone()),
        settings: json!({ "pds": repo.pds, "handle": handle }),
        destinations: Vec::new(),
        handle: format!("@{handle}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_app_passwords_are_taken_for_bluesky() {
        assert!(is_app_password("abcd-efgh-1234-mnop"));
        for text in [
            "hunter2",
            "abcd-efgh-ijkl",
            "abcd-efgh-ijkl-mno",
            "abcd efgh ijkl mnop",
        ] {
            assert!(!is_app_password(text), "{text}");
        }
    }

    #[test]
    fn handles_are_taken_as_people_copy_them() {
        assert_eq!(
            identifier_of("\u{202a}@ann.example.org\u{202c} ", true).unwrap(),
            "ann.example.org"
        );
        assert_eq!(identifier_of("ann", true).unwrap(), "ann.bsky.social");
        assert_eq!(identifier_of("did:plc:abc", true).unwrap(), "did:plc:abc");
        assert!(identifier_of("@", true).is_err());
    }

    #[test]
    fn a_server_is_reached_through_https() {
        assert_eq!(
            server_of("pds.example", false).unwrap(),
            "https://pds.example"
        );
        assert!(server_of("http://pds.example", false).is_err());
        assert_eq!(
            server_of("http://127.0.0.1:2583/x", true).unwrap(),
            "http://127.0.0.1:2583"
        );
    }
}
