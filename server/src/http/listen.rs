//! The listener.
//!
//! Owns connections: their number, the time a request's head may take, the end. Invariant: no connection
//! outlives the drain, and none that sends nothing holds a place for long.
//!
//! Only HTTP/1.1 is spoken: browsers speak HTTP/2 over TLS only, which a proxy ends; and telling the two
//! apart waits for the first bytes without any time-out.

use std::{
    convert::Infallible, net::SocketAddr, sync::Arc, sync::atomic::Ordering, time::Duration,
};

use axum::{Router, body::Body, http::Request};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tower::ServiceExt as _;

use super::peer::Peer;
use crate::app::App;

/// Longest head of a request, in bytes.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 100;
/// After a failed accept, such as for want of file handles, the listener rests so long.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Bounds of the listener.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// A request's head must arrive within this; also the longest rest between two requests.
    pub header_timeout: Duration,
    /// Requests under way may take so long to end.
    pub drain: Duration,
}

/// Serves until `app.stopping` is cancelled, then drains.
pub async fn serve(app: App, listener: TcpListener, router: Router, limits: Limits) {
    let places = Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    let http = connection_builder(limits.header_timeout);
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            () = app.stopping.cancelled() => break,
        };
        match accepted {
            Ok((stream, peer, place)) => {
                let connection = Connection {
                    app: app.clone(),
                    router: router.clone(),
                    peer,
                    _place: place,
                };
                connection.start(stream, &http, &graceful);
            }
            Err(error) => {
                tracing::warn!(%error, "could not accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    if tokio::time::timeout(limits.drain, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("some requests did not end in time and were cut off");
    }
}

fn connection_builder(header_timeout: Duration) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new()).http1_only();
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(header_timeout)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX);
    builder
}

// The place is taken first: beyond the bound, connections wait in the system's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> std::io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let place = places
        .clone()
        .acquire_owned()
        .await
        .map_err(std::io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, place))
}

struct Connection {
    app: App,
    router: Router,
    peer: SocketAddr,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn start(
        self,
        stream: TcpStream,
        http: &auto::Builder<TokioExecutor>,
        graceful: &GracefulShutdown,
    ) {
        let _ = stream.set_nodelay(true);
        let router = self.router.clone();
        let peer = Peer(self.peer.ip());
        let service = service_fn(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(peer);
            let answer = router.clone().oneshot(request.map(Body::new));
            async move { answer.await.map_err(|never: Infallible| match never {}) }
        });
        let connection = http
            .serve_connection(TokioIo::new(stream), service)
            .into_owned();
        let connection = graceful.watch(connection);
        let app = self.app.clone();
        app.metrics.connections.fetch_add(1, Ordering::Relaxed);
        app.tasks.clone().spawn(async move {
            if let Err(error) = connection.await {
                // Clients that go away are nothing to act upon.
                tracing::debug!(%error, "a connection ended early");
            }
            self.app.metrics.connections.fetch_sub(1, Ordering::Relaxed);
            drop(self);
        });
    }
}
