//! What the networks' doubles share: a loopback server, faults and the oracle.
//!
//! Owns the log of effects, which only grows and is what tests count. Must not
//! know a network. Invariant: an effect is logged in the same breath as the
//! double's state changes, whatever the client gets to see of it.

pub(crate) mod limits;

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Router,
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};
use so_model::{Timestamp, time::SECOND};

/// What a call to a double is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// The call with public effect.
    Publish,
    /// Uploads.
    Upload,
    /// Questions about posts.
    Read,
    /// Deletions.
    Delete,
    /// Renewal of a token.
    Refresh,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This status with the network's usual error body; nothing is taken.
    Status(u16),
    /// Taken, and this status with an error body.
    TakenThenStatus(u16),
    /// Taken, and no answer comes.
    TakenThenSilence,
    /// Not taken, and no answer comes.
    Silence,
    /// Taken, and the connection breaks within the answer.
    TakenThenCut,
    /// Not taken, and the connection breaks within the answer.
    Cut,
    /// Taken, and a proxy's page with status 200.
    TakenThenHtml,
    /// A proxy's page with status 502; nothing is taken.
    Html,
    /// Taken, and an empty answer with status 200.
    TakenThenEmpty,
    /// 504 at once; taken when [`Core::settle`] is called.
    Late,
    /// 429 with the network's headers; nothing is taken.
    RateLimited {
        /// Seconds to wait.
        seconds: i64,
    },
}

/// Something that people can see.
#[derive(Debug, Clone, PartialEq)]
pub struct Effect {
    /// `publish` or `delete`.
    pub what: &'static str,
    /// The post.
    pub remote_id: String,
    /// Its text, empty for deletions.
    pub text: String,
    /// Number of files.
    pub media: usize,
    /// The post it answers to.
    pub reply_to: Option<String>,
    /// Everything the network was given.
    pub body: Value,
}

type Late = Box<dyn FnOnce() + Send>;
type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// The part of a double that tests hold.
#[derive(Default)]
pub struct Core {
    clock: Mutex<Option<Clock>>,
    log: Mutex<Vec<Effect>>,
    faults: Mutex<VecDeque<(Op, Fault)>>,
    late: Mutex<Vec<Late>>,
    calls: Mutex<Vec<Op>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Core {
    /// Every effect so far.
    pub fn effects(&self) -> Vec<Effect> {
        lock(&self.log).clone()
    }

    /// Every post that ever went out, in order: the oracle.
    pub fn published(&self) -> Vec<Effect> {
        self.effects()
            .into_iter()
            .filter(|effect| effect.what == "publish")
            .collect()
    }

    /// How many calls of this kind came, refused ones as well.
    pub fn calls(&self, op: Op) -> usize {
        lock(&self.calls).iter().filter(|of| **of == op).count()
    }

    /// Lets the next call of this kind go wrong; several wait in line.
    pub fn fail_next(&self, op: Op, fault: Fault) {
        lock(&self.faults).push_back((op, fault));
    }

    /// Goes by this clock from now on; the double's own stands at the moment of the fixtures.
    ///
    /// Spans of limits end by it, so whoever calls from a server of its own gives the clock of that server.
    pub fn go_by(&self, clock: impl Fn() -> Timestamp + Send + Sync + 'static) {
        *lock(&self.clock) = Some(Arc::new(clock));
    }

    pub(crate) fn now(&self) -> Timestamp {
        let clock = lock(&self.clock).clone();
        clock.map_or(crate::conformance::fixture::NOW, |clock| clock())
    }

    /// Takes what was held back by [`Fault::Late`].
    pub fn settle(&self) {
        for late in std::mem::take(&mut *lock(&self.late)) {
            late();
        }
    }

    pub(crate) fn log(&self, effect: Effect) {
        lock(&self.log).push(effect);
    }

    fn take_fault(&self, op: Op) -> Option<Fault> {
        let mut faults = lock(&self.faults);
        let at = faults.iter().position(|(of, _)| *of == op)?;
        faults.remove(at).map(|(_, fault)| fault)
    }
}

/// How a network words what the shared part answers.
pub(crate) struct Manner {
    /// Error body for a status.
    pub error: fn(u16) -> Value,
    /// Headers of a 429, given the moment until which to wait.
    pub limit_headers: fn(Timestamp) -> Vec<(&'static str, String)>,
}

/// Answers a call, with whatever fault is next for it.
pub(crate) async fn serve<F>(core: &Core, manner: &Manner, op: Op, take: F) -> Response
where
    F: FnOnce() -> Response + Send + 'static,
{
    lock(&core.calls).push(op);
    let error = |status| answer(status, (manner.error)(status));
    match core.take_fault(op) {
        None => take(),
        Some(Fault::Status(status)) => error(status),
        Some(Fault::TakenThenStatus(status)) => {
            take();
            error(status)
        }
        Some(Fault::TakenThenSilence) => {
            take();
            std::future::pending().await
        }
        Some(Fault::Silence) => std::future::pending().await,
        Some(Fault::TakenThenCut) => {
            take();
            cut()
        }
        Some(Fault::Cut) => cut(),
        Some(Fault::TakenThenHtml) => {
            take();
            html(200)
        }
        Some(Fault::Html) => html(502),
        Some(Fault::TakenThenEmpty) => {
            take();
            StatusCode::OK.into_response()
        }
        Some(Fault::Late) => {
            lock(&core.late).push(Box::new(|| {
                take();
            }));
            error(504)
        }
        Some(Fault::RateLimited { seconds }) => {
            let mut response = error(429);
            let until = core.now().plus(seconds * SECOND);
            for (name, value) in (manner.limit_headers)(until) {
                if let Ok(value) = HeaderValue::from_str(&value) {
                    response.headers_mut().insert(name, value);
                }
            }
            response
        }
    }
}

/// A JSON answer.
pub(crate) fn answer(status: u16, body: Value) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, axum::Json(body)).into_response()
}

fn html(status: u16) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
    (
        status,
        [(header::CONTENT_TYPE, "text/html")],
        "<html><body>gateway</body></html>",
    )
        .into_response()
}

// The announced length never comes: the client sees a connection that breaks within the answer.
fn cut() -> Response {
    let pieces: [Result<&'static str, std::io::Error>; 2] = [
        Ok("{"),
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset)),
    ];
    let mut response = Response::new(Body::from_stream(futures_util::stream::iter(pieces)));
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from_static("1000"));
    response
}

/// The bearer token of a call.
pub(crate) fn bearer(headers: &axum::http::HeaderMap) -> Option<String> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    value.strip_prefix("Bearer ").map(str::to_owned)
}

/// A loopback server that ends with its handle.
pub struct Server {
    address: SocketAddr,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Starts serving on a free port.
    pub async fn start(router: Router) -> std::io::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            // Ends with the task; a failing accept only fails the test that depends on it.
            let _ = axum::serve(listener, router).await;
        });
        Ok(Self { address, task })
    }

    /// Its address, without a slash at the end.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An error body that says nothing about a network.
pub(crate) fn plain_error(status: u16) -> Value {
    json!({ "error": format!("status {status}") })
}

/// State shared with handlers.
pub(crate) type Shared<T> = Arc<Mutex<T>>;

pub(crate) fn locked<T>(state: &Shared<T>) -> MutexGuard<'_, T> {
    lock(state)
}
