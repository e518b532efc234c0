//! A receiver of webhooks, outside of the product: what it got is what really happened.
//!
//! Invariant: a call is counted before it is answered. A repetition with the same webhook-id is the same call,
//! as the standard says; two ids for the same words are a doubled effect.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
};

use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use serde_json::Value;

/// Ids of the calls that came, by the words they carried.
type Calls = BTreeMap<String, BTreeSet<String>>;

pub struct Sink {
    pub url: String,
    calls: Mutex<Calls>,
}

impl Sink {
    pub async fn start() -> Arc<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let sink = Arc::new(Self {
            url: format!("http://{}", listener.local_addr().unwrap()),
            calls: Mutex::default(),
        });
        let router = Router::new()
            .route("/", post(take))
            .with_state(sink.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        sink
    }

    /// How many words arrived.
    pub fn count(&self) -> usize {
        self.calls.lock().unwrap().len()
    }

    pub fn calls(&self) -> Calls {
        self.calls.lock().unwrap().clone()
    }
}

async fn take(State(sink): State<Arc<Sink>>, headers: HeaderMap, Json(body): Json<Value>) {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    let words = body["data"]["text"].as_str().unwrap().to_owned();
    sink.calls
        .lock()
        .unwrap()
        .entry(words)
        .or_default()
        .insert(id);
}
