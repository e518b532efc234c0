//! What every request passes, whatever its route.
//!
//! Owns the request's id, its span, its count, panics and the form of errors. Invariants: a log line holds
//! the route's pattern, never an address, a query or a body; a panic ends one request, not the server, and
//! says nothing to the client.

use std::{panic::AssertUnwindSafe, sync::atomic::Ordering, time::Instant};

use axum::{
    extract::{MatchedPath, Request, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt as _;
use so_model::IdSource as _;
use tracing::Instrument as _;

use super::{answer::IsProblem, headers};
use crate::app::{App, failure::Failure};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest address that is looked at; browsers and proxies stop at about the same.
const URI_BYTES_MAX: usize = 8 * 1024;

/// Carries a request through everything that is true of all routes.
pub async fn carry(State(app): State<App>, request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(&app);
    let method = request.method().clone();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("(none)", MatchedPath::as_str)
        .to_string();
    let span = tracing::info_span!("http.request", request.id = %id, http.method = %method, http.route = %route);
    let mut response = run(&app, request, next).instrument(span.clone()).await;
    if response.status().is_client_error() || response.status().is_server_error() {
        response = as_problem(response, &method);
    }
    headers::complete(response.headers_mut(), app.is_https());
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    app.metrics.answered(
        method.as_str(),
        &route,
        response.status().as_u16(),
        begun.elapsed(),
    );
    span.in_scope(|| {
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(
            http.status = response.status().as_u16(),
            took_ms,
            "answered a request"
        );
    });
    response
}

async fn run(app: &App, request: Request, next: Next) -> Response {
    if request.uri().to_string().len() > URI_BYTES_MAX {
        return Failure::new(414, "request.uri_too_long", "The address is too long")
            .next_step("Send long values in the body.")
            .into_response();
    }
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(_) => {
            // The panic hook has logged where; its text may hold anything and goes nowhere else.
            app.metrics.panics.fetch_add(1, Ordering::Relaxed);
            tracing::error!("a handler panicked");
            Failure::internal().into_response()
        }
    }
}

// The router and its parts answer errors in plain text; clients get one form only.
fn as_problem(response: Response, method: &Method) -> Response {
    if response.extensions().get::<IsProblem>().is_some()
        || *method == Method::HEAD && has_no_body(&response)
    {
        return response;
    }
    let status = response.status();
    let failure = match status {
        StatusCode::NOT_FOUND => Failure::new(
            404,
            "request.no_such_route",
            "There is nothing at this address",
        )
        .next_step("Look at /api/docs for the addresses there are."),
        StatusCode::METHOD_NOT_ALLOWED => Failure::new(
            405,
            "request.method",
            "This address does not take this method",
        )
        .next_step("Look at the header Allow for the methods it takes."),
        StatusCode::PAYLOAD_TOO_LARGE => super::json::too_large(),
        status if status.is_server_error() => Failure::internal(),
        status => Failure::new(
            status.as_u16(),
            "request.refused",
            "The request cannot be taken",
        )
        .next_step("Correct the request and send it again."),
    };
    let mut problem = failure.into_response();
    if let Some(allow) = response.headers().get(header::ALLOW) {
        problem.headers_mut().insert(header::ALLOW, allow.clone());
    }
    problem
}

fn has_no_body(response: &Response) -> bool {
    axum::body::HttpBody::size_hint(response.body()).exact() == Some(0)
}

fn request_id(app: &App) -> String {
    app.ids
        .random()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
