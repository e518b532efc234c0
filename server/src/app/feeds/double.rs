//! Somebody else's server on this machine, for tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
    response::{IntoResponse, Response},
};

/// What is answered at a path.
#[derive(Debug, Clone)]
pub(crate) struct Page {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: String,
}

impl Page {
    pub fn ok(body: impl Into<String>) -> Self {
        Self {
            status: 200,
            headers: vec![("content-type", "application/rss+xml".into())],
            body: body.into(),
        }
    }
    pub fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }
    pub fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value.into()));
        self
    }
}

/// A call that came.
#[derive(Debug, Clone)]
pub(crate) struct Came {
    pub method: Method,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

#[derive(Debug, Default)]
struct Shared {
    pages: BTreeMap<String, Page>,
    came: Vec<Came>,
}

/// The server.
pub(crate) struct Double {
    shared: Arc<Mutex<Shared>>,
    address: std::net::SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Double {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Double {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::<Mutex<Shared>>::default();
        let router = Router::new().fallback(answer).with_state(shared.clone());
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            shared,
            address,
            task,
        }
    }
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
    pub fn put(&self, path: &str, page: Page) {
        self.shared.lock().unwrap().pages.insert(path.into(), page);
    }
    pub fn came(&self) -> Vec<Came> {
        self.shared.lock().unwrap().came.clone()
    }
}

async fn answer(
    State(shared): State<Arc<Mutex<Shared>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let mut shared = shared.lock().unwrap();
    let path = uri.path();
    let known = headers.get("if-none-match").cloned();
    shared.came.push(Came {
        method,
        headers,
        body: body.to_vec(),
    });
    let Some(page) = shared.pages.get(path) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let tag = page
        .headers
        .iter()
        .find(|(name, _)| *name == "etag")
        .map(|(_, value)| value.as_bytes().to_vec());
    if tag.is_some() && known.map(|known| known.as_bytes().to_vec()) == tag {
        return StatusCode::NOT_MODIFIED.into_response();
    }
    let mut response = (
        StatusCode::from_u16(page.status).unwrap(),
        page.body.clone(),
    )
        .into_response();
    for (name, value) in &page.headers {
        response.headers_mut().insert(*name, value.parse().unwrap());
    }
    response
}

/// An RSS document of items by guid and title, the newest first.
pub(crate) fn rss(items: &[(&str, &str)]) -> String {
    let item = |(guid, title): &(&str, &str)| {
        format!(
            "<item><guid isPermaLink=\"false\">{guid}</guid><title>{title}</title><link>https://x.org/{guid}</link></item>"
        )
    };
    let items: String = items.iter().map(item).collect();
    format!(
        "<?xml version=\"1.0\"?><rss version=\"2.0\"><channel><title>News</title>{items}</channel></rss>"
    )
}
