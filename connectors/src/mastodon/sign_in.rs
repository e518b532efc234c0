//! Connecting an account.
//!
//! Owns app registration, the code flow and pasted tokens. Must not keep an
//! account's token. Invariant: an app is registered once for each instance and
//! return address, and again when the instance has forgotten it.

use std::{collections::BTreeMap, num::NonZeroUsize, sync::Mutex, sync::PoisonError};

use lru::LruCache;
use serde_json::{Map, Value, json};
use so_model::account::Account;
use so_net::{OutboundRequest, Purpose};

use super::{
    DIALECT, KEY,
    instance::{self, Instance, Limits},
    manifest::SCOPES,
};
use crate::{
    ConnectedAccount, ConnectorError, Cx, ErrorClass, Refresh, SecretValue, SignInStart, Verified,
    call::{text_of, url_of},
    oauth::{OAuthApp, pkce_verifier},
};

/// Apps remembered; one more costs the oldest, which is then registered anew.
const MAX_APPS: usize = 1000;
/// The name people see when they are asked.
const APP_NAME: &str = "SocialOrchestrator";

/// Registered apps by instance and return address.
pub(super) struct Apps(LruCache<(String, String), SecretValue>);

impl Default for Apps {
    fn default() -> Self {
        Self(LruCache::new(
            NonZeroUsize::MIN.saturating_add(MAX_APPS - 1),
        ))
    }
}

pub(super) fn access_token(token: &SecretValue) -> Result<&str, ConnectorError> {
    token
        .text("access_token")
        .filter(|token| !token.is_empty())
        .ok_or_else(|| {
            ConnectorError::new(
                ErrorClass::Reconnect,
                "mastodon.token_missing",
                "There is no token for this account.",
            )
            .next_step("Connect the account again.")
        })
}

fn form_text<'a>(form: &'a Map<String, Value>, key: &str) -> &'a str {
    form.get(key).and_then(Value::as_str).unwrap_or("").trim()
}

pub(super) async fn begin(
    cx: &Cx,
    apps: &Mutex<Apps>,
    form: &Map<String, Value>,
    redirect_uri: &str,
    state: &str,
) -> Result<SignInStart, ConnectorError> {
    let base = instance::base_from_input(form_text(form, "instance"), cx.config.allow_http)?;
    let instance = instance::ask(cx, &base).await?;
    let pasted = form_text(form, "token");
    if !pasted.is_empty() {
        let token = SecretValue::new(json!({ "access_token": pasted }));
        return Ok(SignInStart::Done(Box::new(
            connected(cx, &instance, token, None).await?,
        )));
    }
    let app = app_for(cx, apps, &instance.base, redirect_uri).await?;
    let verifier = pkce_verifier(&cx.random);
    let urls = Urls::of(&instance.base)?;
    let scopes = SCOPES.map(str::to_owned);
    let url = urls
        .client(&app, redirect_uri)
        .authorize(&scopes, state, &verifier, &[])?;
    let pending = json!({
        "base_url": instance.base,
        "redirect_uri": redirect_uri,
        "client_id": app.text("client_id"),
        "client_secret": app.text("client_secret"),
        "verifier": verifier,
    });
    Ok(SignInStart::Redirect {
        url,
        pending: SecretValue::new(pending),
    })
}

struct Urls {
    authorize: String,
    token: String,
}

impl Urls {
    fn of(base: &str) -> Result<Self, ConnectorError> {
        Ok(Self {
            authorize: url_of(KEY, base, &["oauth", "authorize"], &[])?,
            token: url_of(KEY, base, &["oauth", "token"], &[])?,
        })
    }

    fn client<'a>(&'a self, app: &'a SecretValue, redirect_uri: &'a str) -> OAuthApp<'a> {
        OAuthApp {
            network: KEY,
            client_id: app.text("client_id").unwrap_or(""),
            client_secret: app.text("client_secret"),
            authorize_url: &self.authorize,
            token_url: &self.token,
            redirect_uri,
            basic_auth: false,
        }
    }
}

async fn app_for(
    cx: &Cx,
    apps: &Mutex<Apps>,
    base: &str,
    redirect_uri: &str,
) -> Result<SecretValue, ConnectorError> {
    let key = (base.to_owned(), redirect_uri.to_owned());
    if let Some(app) = apps
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .0
        .get(&key)
    {
        return Ok(app.clone());
    }
    let url = url_of(KEY, base, &["api", "v1", "apps"], &[])?;
    let request = OutboundRequest::post(url).purpose(Purpose::Auth).form(&[
        ("client_name", APP_NAME),
        ("redirect_uris", redirect_uri),
        ("scopes", &SCOPES.join(" ")),
    ]);
    let answer = DIALECT.call(cx, request).await?;
    let (Some(id), Some(secret)) = (
        text_of(&answer, "client_id"),
        text_of(&answer, "client_secret"),
    ) else {
        return Err(ConnectorError::garbled(KEY, 200));
    };
    let app = SecretValue::new(json!({ "client_id": id, "client_secret": secret }));
    apps.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .0
        .put(key, app.clone());
    Ok(app)
}

pub(super) async fn finish(
    cx: &Cx,
    apps: &Mutex<Apps>,
    pending: &SecretValue,
    callback: &BTreeMap<String, String>,
) -> Result<ConnectedAccount, ConnectorError> {
    let Some(code) = callback.get("code") else {
        return Err(declined(callback));
    };
    let field = |key: &str| pending.text(key).unwrap_or("").to_owned();
    let (base, redirect_uri) = (field("base_url"), field("redirect_uri"));
    let urls = Urls::of(&base)?;
    let exchanged = urls
        .client(pending, &redirect_uri)
        .exchange(cx, code, &field("verifier"))
        .await;
    let tokens = exchanged.inspect_err(|error| {
        if error.class == ErrorClass::Config {
            apps.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .0
                .pop(&(base.clone(), redirect_uri.clone()));
        }
    })?;
    let mut token = tokens
        .token
        .expose()
        .as_object()
        .cloned()
        .unwrap_or_default();
    // Renewal and revocation need the app that the token was made for.
    for key in ["client_id", "client_secret"] {
        token.insert(key.into(), field(key).into());
    }
    let instance = instance::ask(cx, &base).await?;
    connected(
        cx,
        &instance,
        SecretValue::new(Value::Object(token)),
        tokens.expires_at,
    )
    .await
}

fn declined(callback: &BTreeMap<String, String>) -> ConnectorError {
    let why = match callback.get("error").map(String::as_str) {
        Some("access_denied") => "You did not allow access at the server.",
        _ => "The server sent you back without a code.",
    };
    ConnectorError::new(ErrorClass::Reconnect, "mastodon.sign_in_declined", why)
        .next_step("Start the sign-in again.")
}

async fn profile(cx: &Cx, base: &str, token: &SecretValue) -> Result<Value, ConnectorError> {
    let url = url_of(
        KEY,
        base,
        &["api", "v1", "accounts", "verify_credentials"],
        &[],
    )?;
    let access = access_token(token)?;
    let profile = DIALECT
        .ask(cx, || OutboundRequest::get(&url).bearer(access))
        .await?;
    if text_of(&profile, "id").is_none() {
        return Err(ConnectorError::garbled(KEY, 200));
    }
    Ok(profile)
}

async fn connected(
    cx: &Cx,
    instance: &Instance,
    token: SecretValue,
    token_expires_at: Option<so_model::Timestamp>,
) -> Result<ConnectedAccount, ConnectorError> {
    let profile = profile(cx, &instance.base, &token).await?;
    let id = text_of(&profile, "id").unwrap_or_default();
    let seen = seen(&profile, instance);
    Ok(ConnectedAccount {
        // Ids are the instance's own, so two instances may have the same.
        remote_id: format!("{id}@{}", instance.domain),
        name: seen.name,
        handle: seen.handle,
        avatar_url: seen.avatar_url,
        settings: seen.settings,
        destinations: Vec::new(),
        token,
        token_expires_at,
    })
}

fn seen(profile: &Value, instance: &Instance) -> Verified {
    let username = text_of(profile, "username")
        .or_else(|| text_of(profile, "acct"))
        .unwrap_or_default();
    let name = text_of(profile, "display_name")
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| username.clone());
    Verified {
        name,
        handle: format!("@{username}@{}", instance.domain),
        avatar_url: text_of(profile, "avatar").filter(|url| url.starts_with("http")),
        settings: instance.settings(&text_of(profile, "id").unwrap_or_default()),
        destinations: Vec::new(),
    }
}

pub(super) async fn check(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
) -> Result<Verified, ConnectorError> {
    let base = instance::base_of(&account.settings)?;
    let profile = profile(cx, &base, token).await?;
    let instance = instance::ask(cx, &base).await.unwrap_or_else(|_| Instance {
        // The token works; limits that cannot be read just now stay as they were.
        domain: text_of(&account.settings, "domain").unwrap_or_default(),
        version: text_of(&account.settings, "version").unwrap_or_default(),
        limits: Limits::of(&account.settings),
        base,
    });
    Ok(seen(&profile, &instance))
}

/// Mastodon's tokens do not end; servers that give a refresh token get it used.
pub(super) async fn refresh(
    cx: &Cx,
    account: &Account,
    token: &SecretValue,
) -> Result<Refresh, ConnectorError> {
    if token.text("refresh_token").is_none() {
        return Ok(Refresh::Unchanged);
    }
    let urls = Urls::of(&instance::base_of(&account.settings)?)?;
    // The grant does not use the return address; the client library wants one.
    let renewed = urls.client(token, &urls.token).refresh(cx, token).await?;
    Ok(Refresh::Rotated {
        token: renewed.token,
        expires_at: renewed.expires_at,
    })
}
