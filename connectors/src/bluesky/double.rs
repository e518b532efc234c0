//! A personal data server of the AT Protocol for tests, with a readers' view.
//!
//! Owns one account's sessions, uploads and records. Must not be kinder than
//! the reference server. Invariant: a record's hash follows from its content,
//! and writing the same record again changes nothing.

mod limits;
mod routes;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
};

use axum::{Router, routing};
use base64::Engine as _;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use so_model::{Timestamp, time::SECOND};

use crate::doubles::{Core, Manner, Server, Shared, limits::Windows, locked};

/// The account's name.
pub const DID: &str = "did:plc:ann234567abcdefghijklmno";
/// Its handle.
pub const HANDLE: &str = "ann.example.org";
/// Its app password.
pub const PASSWORD: &str = "abcd-efgh-ijkl-mnop";

pub(super) const MANNER: Manner = Manner {
    error,
    limit_headers,
};

fn error(status: u16) -> Value {
    let name = match status {
        429 => "RateLimitExceeded",
        502 => "UpstreamFailure",
        503 => "NotEnoughResources",
        504 => "UpstreamTimeout",
        401 => "AuthMissing",
        _ => "InternalServerError",
    };
    json!({ "error": name, "message": name })
}

fn limit_headers(until: Timestamp) -> Vec<(&'static str, String)> {
    vec![
        ("ratelimit-limit", "5000".into()),
        ("ratelimit-remaining", "0".into()),
        ("ratelimit-reset", until.seconds().to_string()),
        ("ratelimit-policy", "5000;w=3600".into()),
    ]
}

/// A running server with one account.
pub struct BlueskyDouble {
    server: Server,
    core: Arc<Core>,
    state: Shared<State>,
}

#[derive(Default)]
pub(super) struct State {
    pub url: String,
    pub access: Vec<String>,
    pub refresh: Vec<String>,
    pub expired: Vec<String>,
    pub blobs: BTreeMap<String, (String, usize)>,
    pub records: BTreeMap<String, Value>,
    pub handles: HashMap<String, String>,
    pub serial: u64,
    pub refreshes: u64,
    /// What was used of the limits.
    pub windows: Windows,
}

#[derive(Clone)]
pub(super) struct Double {
    pub core: Arc<Core>,
    pub state: Shared<State>,
}

impl BlueskyDouble {
    /// Starts a server.
    pub async fn start() -> std::io::Result<Self> {
        let handles = HashMap::from([(HANDLE.to_owned(), DID.to_owned())]);
        let state = State {
            handles,
            ..State::default()
        };
        let double = Double {
            core: Arc::default(),
            state: Arc::new(Mutex::new(state)),
        };
        let server = Server::start(router(double.clone())).await?;
        locked(&double.state).url = server.url();
        Ok(Self {
            server,
            core: double.core,
            state: double.state,
        })
    }

    /// The server's address; it is its own readers' view.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// Effects and faults.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Lets all access tokens run out; sessions can be renewed.
    pub fn expire_access(&self) {
        let mut state = locked(&self.state);
        let access = std::mem::take(&mut state.access);
        state.expired.extend(access);
    }

    /// Ends all sessions, as removing the app password does.
    pub fn revoke_sessions(&self) {
        let mut state = locked(&self.state);
        state.access.clear();
        state.refresh.clear();
    }

    /// Removes uploads that no record uses.
    pub fn drop_uploads(&self) {
        locked(&self.state).blobs.clear();
    }

    /// How often a session was renewed.
    pub fn refreshes(&self) -> u64 {
        locked(&self.state).refreshes
    }

    /// The record with this name.
    pub fn record(&self, rkey: &str) -> Option<Value> {
        locked(&self.state).records.get(rkey).cloned()
    }
}

fn router(double: Double) -> Router {
    Router::new()
        .route(
            "/xrpc/com.atproto.server.createSession",
            routing::post(routes::create_session),
        )
        .route(
            "/xrpc/com.atproto.server.refreshSession",
            routing::post(routes::refresh_session),
        )
        .route(
            "/xrpc/com.atproto.server.getSession",
            routing::get(routes::get_session),
        )
        .route(
            "/xrpc/com.atproto.identity.resolveHandle",
            routing::get(routes::resolve_handle),
        )
        .route(
            "/xrpc/app.bsky.actor.getProfile",
            routing::get(routes::get_profile),
        )
        .route(
            "/xrpc/com.atproto.repo.uploadBlob",
            routing::post(routes::upload),
        )
        .route(
            "/xrpc/com.atproto.repo.putRecord",
            routing::post(routes::put_record),
        )
        .route(
            "/xrpc/com.atproto.repo.getRecord",
            routing::get(routes::get_record),
        )
        .route(
            "/xrpc/com.atproto.repo.listRecords",
            routing::get(routes::list_records),
        )
        .route(
            "/xrpc/com.atproto.repo.deleteRecord",
            routing::post(routes::delete_record),
        )
        .route(
            "/xrpc/app.bsky.feed.getPosts",
            routing::get(routes::get_posts),
        )
        .layer(axum::extract::DefaultBodyLimit::max(64 * 1024 * 1024))
        .layer(axum::middleware::from_fn_with_state(
            double.clone(),
            limits::guard,
        ))
        .with_state(double)
}

impl State {
    pub(super) fn open_session(&mut self, now: Timestamp) -> Value {
        self.serial += 1;
        let end = now.plus(7200 * SECOND).seconds();
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .encode(json!({ "exp": end }).to_string());
        let access = format!("h.{claims}.access{}", self.serial);
        let refresh = format!("refresh{}", self.serial);
        self.access.push(access.clone());
        self.refresh.push(refresh.clone());
        json!({
            "did": DID, "handle": HANDLE, "active": true, "accessJwt": access, "refreshJwt": refresh,
            "didDoc": { "id": DID, "alsoKnownAs": [format!("at://{HANDLE}")], "service": [
                { "id": "#atproto_pds", "type": "AtprotoPersonalDataServer", "serviceEndpoint": self.url },
            ]},
        })
    }
}

/// The hash by which something is named.
pub(super) fn cid(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("bafyrei{}", &hex[..40])
}
