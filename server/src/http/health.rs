//! `/healthz`, `/readyz`, `/metrics`: for machines that watch over the server.
//!
//! Invariant: readiness fails when the database does not take writes, when a loop stands still or when the
//! server is ending; liveness never depends on anything but the process.

use std::time::Duration;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Json, peer};
use crate::{
    app::{App, failure::Failure},
    config::MetricsAccess,
};

/// The database answers within this or is not ready.
const DATABASE_TIMEOUT: Duration = Duration::from_secs(2);

/// The process lives.
pub async fn healthz() -> Json<Value> {
    Json(json!({ "status": "ok" }))
}

/// The server can do its work.
pub async fn readyz(State(app): State<App>) -> Result<Json<Value>, Failure> {
    let not_ready = |what: &str| {
        Failure::new(503, "server.not_ready", "The server is not ready")
            .detail(what)
            .next_step("Wait a moment; if it lasts, look into the server's log.")
            .retry_after(5)
    };
    if app.stopping.is_cancelled() {
        return Err(not_ready("It is ending."));
    }
    if !database_answers(&app).await {
        return Err(not_ready("The database does not answer."));
    }
    Ok(Json(json!({ "status": "ready" })))
}

async fn database_answers(app: &App) -> bool {
    let both = async {
        so_store::instance::get(&mut app.reader(), "recovery_epoch").await?;
        app.store.begin().await?.rollback().await
    };
    match tokio::time::timeout(DATABASE_TIMEOUT, both).await {
        Ok(Ok(())) => true,
        Ok(Err(error)) => {
            tracing::warn!(error = %crate::app::failure::chain(&error), "the database does not answer");
            false
        }
        Err(_) => {
            tracing::warn!("the database did not answer in time");
            false
        }
    }
}

/// The counters, for those whom the configuration permits.
pub async fn metrics(
    State(app): State<App>,
    peer: Option<peer::Peer>,
    headers: HeaderMap,
) -> Response {
    let is_local = peer.is_some_and(|peer| peer.0.to_canonical().is_loopback())
        && !peer::is_forwarded(&headers);
    let may = match app.config.server.metrics {
        MetricsAccess::Open => true,
        MetricsAccess::Loopback => is_local,
        MetricsAccess::Off => false,
    };
    if !may {
        return Failure::not_found("page").into_response();
    }
    const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    ([(header::CONTENT_TYPE, TEXT)], app.metrics.render()).into_response()
}
