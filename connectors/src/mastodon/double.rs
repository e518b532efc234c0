//! A Mastodon server for tests.
//!
//! Owns apps, tokens, uploads and statuses of one made-up instance, with the
//! limits and refusals of the real one. Must not be kinder than Mastodon.
//! Invariant: a key is remembered after its status was made, as Mastodon does.

mod limits;
mod routes;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{Router, routing};
use serde_json::{Value, json};
use so_model::Timestamp;

use crate::doubles::{Core, Manner, Server, Shared, limits::Windows, locked, plain_error};

/// A token that is valid from the start.
pub const TOKEN: &str = "double-token";
/// Limits of the double, tighter than usual so that tests see them.
pub const TEXT_MAX: usize = 600;
/// Longest description.
pub const ALT_MAX: usize = 1500;

pub(super) const MANNER: Manner = Manner {
    error: plain_error,
    limit_headers,
};

fn limit_headers(until: Timestamp) -> Vec<(&'static str, String)> {
    vec![
        ("x-ratelimit-limit", "300".into()),
        ("x-ratelimit-remaining", "0".into()),
        ("x-ratelimit-reset", until.to_string()),
    ]
}

/// What an instance lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Flavour {
    /// Nothing.
    #[default]
    Current,
    /// Version 2 of the instance and media calls, and PKCE.
    Old,
}

/// A running instance with one account.
pub struct MastodonDouble {
    server: Server,
    core: Arc<Core>,
    state: Shared<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub flavour: Flavour,
    /// The instance's domain, if it is not the usual one.
    pub domain: Option<String>,
    pub apps: HashMap<String, App>,
    pub codes: HashMap<String, Code>,
    pub tokens: HashMap<String, String>,
    pub media: BTreeMap<String, Upload>,
    pub statuses: Vec<Value>,
    pub keys: HashMap<String, String>,
    pub forgets_keys: bool,
    /// Looks until an upload is ready; 0 is at once.
    pub processing_looks: u32,
    pub fails_processing: bool,
    /// Microseconds that the instance's clock is behind.
    pub behind: i64,
    /// Knows no deletion, as some small servers.
    pub cannot_delete: bool,
    pub serial: u64,
    /// What was used of the limits.
    pub windows: Windows,
}

pub(super) struct App {
    pub secret: String,
    pub redirect_uri: String,
    pub scopes: String,
}

pub(super) struct Code {
    pub client_id: String,
    pub redirect_uri: String,
    pub scope: String,
    pub challenge: Option<String>,
}

pub(super) struct Upload {
    pub mime: String,
    pub alt: String,
    pub looks_left: u32,
    pub is_used: bool,
}

impl State {
    pub(super) fn domain(&self) -> &str {
        self.domain.as_deref().unwrap_or("m.example")
    }

    pub(super) fn next(&mut self) -> u64 {
        self.serial += 1;
        self.serial
    }
}

#[derive(Clone)]
pub(super) struct Double {
    pub core: Arc<Core>,
    pub state: Shared<State>,
}

impl MastodonDouble {
    /// Starts an instance of the current version.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_as(Flavour::Current).await
    }

    /// Starts an instance that lacks something.
    pub async fn start_as(flavour: Flavour) -> std::io::Result<Self> {
        let mut state = State {
            flavour,
            ..State::default()
        };
        state
            .tokens
            .insert(TOKEN.into(), super::manifest::SCOPES.join(" "));
        let double = Double {
            core: Arc::default(),
            state: Arc::new(Mutex::new(state)),
        };
        let server = Server::start(router(double.clone())).await?;
        Ok(Self {
            server,
            core: double.core,
            state: double.state,
        })
    }

    /// The instance's address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Has another domain from now on: ids of accounts are those of their instance.
    pub fn rename(&self, domain: &str) {
        locked(&self.state).domain = Some(domain.to_owned());
    }

    /// Effects and faults.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Ends all tokens, as a change of password does.
    pub fn revoke_tokens(&self) {
        locked(&self.state).tokens.clear();
    }

    /// Forgets all apps, as old versions did with unused ones.
    pub fn forget_apps(&self) {
        locked(&self.state).apps.clear();
    }

    /// Makes keys useless, as when their hour has passed.
    pub fn forget_keys(&self) {
        let mut state = locked(&self.state);
        state.keys.clear();
        state.forgets_keys = true;
    }

    /// Uploads become ready after so many looks.
    pub fn process_for(&self, looks: u32) {
        locked(&self.state).processing_looks = looks;
    }

    /// The instance's clock is behind.
    pub fn run_behind(&self, micros: i64) {
        locked(&self.state).behind = micros;
    }

    /// The instance knows no deletion.
    pub fn refuse_deletion(&self) {
        locked(&self.state).cannot_delete = true;
    }

    /// Uploads fail after they were taken.
    pub fn fail_processing(&self) {
        locked(&self.state).fails_processing = true;
    }

    /// Takes the scope away from the first token.
    pub fn narrow_token(&self, scope: &str) {
        locked(&self.state)
            .tokens
            .insert(TOKEN.into(), scope.into());
    }

    /// The person allows access: gives the parameters of the way back.
    pub fn allow(&self, url: &str) -> BTreeMap<String, String> {
        let Ok(url) = so_net::Url::parse(url) else {
            return BTreeMap::new();
        };
        let query: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let member = |key: &str| query.get(key).cloned().unwrap_or_default();
        let mut state = locked(&self.state);
        let is_fine = state.apps.get(&member("client_id")).is_some_and(|app| {
            app.redirect_uri == member("redirect_uri")
                && member("scope")
                    .split(' ')
                    .all(|scope| app.scopes.split(' ').any(|known| known == scope))
        });
        if !is_fine || member("response_type") != "code" {
            return BTreeMap::from([("error".into(), "invalid_request".into())]);
        }
        let code = format!("code-{}", state.next());
        // Versions before 4.3 take no notice of the challenge.
        let challenge = query
            .get("code_challenge")
            .filter(|_| state.flavour == Flavour::Current)
            .cloned();
        let known = Code {
            client_id: member("client_id"),
            redirect_uri: member("redirect_uri"),
            scope: member("scope"),
            challenge,
        };
        state.codes.insert(code.clone(), known);
        BTreeMap::from([("code".into(), code), ("state".into(), member("state"))])
    }
}

fn router(double: Double) -> Router {
    Router::new()
        .route("/api/v2/instance", routing::get(routes::instance_v2))
        .route("/api/v1/instance", routing::get(routes::instance_v1))
        .route("/api/v1/apps", routing::post(routes::register_app))
        .route("/oauth/token", routing::post(routes::give_token))
        .route(
            "/api/v1/accounts/verify_credentials",
            routing::get(routes::profile),
        )
        .route("/api/v1/accounts/{id}/statuses", routing::get(routes::list))
        .route("/api/v2/media", routing::post(routes::upload_v2))
        .route("/api/v1/media", routing::post(routes::upload_v1))
        .route("/api/v1/media/{id}", routing::get(routes::look))
        .route("/api/v1/statuses", routing::post(routes::publish))
        .route(
            "/api/v1/statuses/{id}",
            routing::get(routes::read).delete(routes::delete),
        )
        .layer(axum::extract::DefaultBodyLimit::max(32 * 1024 * 1024))
        .layer(axum::middleware::from_fn_with_state(
            double.clone(),
            limits::guard,
        ))
        .with_state(double)
}

pub(super) fn configuration() -> Value {
    json!({
        "statuses": { "max_characters": TEXT_MAX, "max_media_attachments": 4, "characters_reserved_per_url": 23 },
        "media_attachments": {
            "description_limit": ALT_MAX, "image_size_limit": 16_777_216, "video_size_limit": 103_809_024,
            "supported_mime_types": ["image/jpeg", "image/png", "image/gif", "image/webp", "video/mp4"],
        },
        "polls": { "max_options": 4, "max_characters_per_option": 50, "min_expiration": 300, "max_expiration": 2_629_746 },
    })
}
