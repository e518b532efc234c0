//! The refresh cookie and who may use it.
//!
//! Owns its name and attributes. Invariants: scripts never see it; it is sent to `/api/v1/auth` only, and
//! counts only in a request that our own page made, so that no other site can make a browser use it.

use axum::http::{HeaderMap, HeaderValue, Uri, header};

use crate::app::{
    App,
    failure::{Failure, Outcome},
    sessions::Grant,
};

const PATH: &str = "/api/v1/auth";
/// Without TLS a browser keeps no Secure cookie.
const PLAIN_NAME: &str = "so_refresh";
/// Browsers accept this prefix over TLS and with Secure only. `__Host-` would need the path `/`.
const SECURE_NAME: &str = "__Secure-so_refresh";
/// Longest `Cookie` header that is looked at.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Sets the cookie of a session.
pub fn set(app: &App, headers: &mut HeaderMap, grant: &Grant) {
    let (name, secure) = if app.is_https() {
        (SECURE_NAME, "; Secure")
    } else {
        (PLAIN_NAME, "")
    };
    let text = format!(
        "{name}={}; Path={PATH}; Max-Age={}; HttpOnly; SameSite=Strict{secure}",
        grant.refresh_token, grant.cookie_secs
    );
    if let Ok(value) = HeaderValue::from_str(&text) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// Makes a browser forget the cookie, under both names: the public address may have changed.
pub fn take_away(headers: &mut HeaderMap) {
    for (name, secure) in [(PLAIN_NAME, ""), (SECURE_NAME, "; Secure")] {
        let text = format!("{name}=; Path={PATH}; Max-Age=0; HttpOnly; SameSite=Strict{secure}");
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.append(header::SET_COOKIE, value);
        }
    }
}

/// The refresh token of a request that our own page made.
pub fn read(app: &App, headers: &HeaderMap) -> Outcome<Option<String>> {
    let name = if app.is_https() {
        SECURE_NAME
    } else {
        PLAIN_NAME
    };
    let Some(token) = find(headers, name) else {
        return Ok(None);
    };
    check_origin(app, headers)?;
    Ok(Some(token))
}

fn find(headers: &HeaderMap, name: &str) -> Option<String> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter(|value| value.len() <= HEADER_BYTES_MAX)
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, token)| token.to_string())
}

/// Refuses what another site made a browser send. Programs send neither header and hold no cookie by chance.
fn check_origin(app: &App, headers: &HeaderMap) -> Outcome<()> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let is_foreign_site = site.is_some_and(|site| site != b"same-origin" && site != b"none");
    let origin = headers
        .get(header::ORIGIN)
        .map(|origin| origin.to_str().unwrap_or_default());
    if is_foreign_site || origin.is_some_and(|origin| !is_own(app, headers, origin)) {
        return Err(Failure::new(403, "auth.foreign_origin", "Another site sent this request")
            .next_step("Open the address of this instance itself. If it is this one, its owner must set server.public_url."));
    }
    Ok(())
}

fn is_own(app: &App, headers: &HeaderMap, origin: &str) -> bool {
    if let Some(public) = &app.config.server.public_url
        && origin.eq_ignore_ascii_case(public.trim_end_matches('/'))
    {
        return true;
    }
    // Without a public address the host that was asked is the only name the server knows itself by.
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = origin
        .parse::<Uri>()
        .ok()
        .and_then(|uri| uri.authority().cloned());
    authority
        .zip(host)
        .is_some_and(|(authority, host)| authority.as_str().eq_ignore_ascii_case(host))
}
