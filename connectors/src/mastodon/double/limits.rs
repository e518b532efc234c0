//! How much the double takes: the limits of an unchanged server.
//!
//! Owns the numbers, the answer of status 429 and the headers that every answer
//! has. Invariant: a status beyond its limit is not made, and a call beyond a
//! limit of calls reaches no handler.
//!
//! Documented are 300 calls, 30 uploads and 30 deletions. Only the server's
//! source names the statuses, the pages, and that calls are counted per token
//! and again per account; it counts by address only what has no token.

use axum::{
    extract::{Request, State as With},
    http::{HeaderValue, Method},
    middleware::Next,
    response::Response,
};
use serde_json::json;
use so_model::Timestamp;

use super::{Double, State};
use crate::doubles::{
    answer, bearer,
    limits::{Begin, Limit, Standing},
    locked,
};

const MINUTE: i64 = 60;
const REMAINING: &str = "x-ratelimit-remaining";
/// The double has one account and one caller's address.
const ONE: &str = "";

const fn limit(name: &'static str, most: u64, minutes: i64) -> Limit {
    Limit {
        name,
        most,
        seconds: minutes * MINUTE,
        begin: Begin::ByTheClock,
    }
}

/// New statuses of an account.
pub(super) const STATUSES: Limit = limit("statuses", 300, 180);
const PER_TOKEN: Limit = limit("token", 300, 5);
const PER_ACCOUNT: Limit = limit("account", 1_500, 5);
const WITHOUT_TOKEN: Limit = limit("address", 300, 5);
const UPLOADS: Limit = limit("uploads", 30, 30);
const DELETIONS: Limit = limit("deletions", 30, 30);
const PAGES: Limit = limit("pages", 300, 15);
const PAGES_WITHOUT_TOKEN: Limit = limit("pages without token", 300, 15);

/// Lets a call through that is within all limits, and tells of the tightest one.
pub(super) async fn guard(With(double): With<Double>, request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with("/api/") {
        return next.run(request).await;
    }
    let now = double.core.now();
    let counted = count(&mut locked(&double.state), &request, now);
    match counted {
        Ok(tightest) => {
            let mut response = next.run(request).await;
            describe(&mut response, &tightest);
            response
        }
        Err(over) => too_many(&over),
    }
}

fn count(state: &mut State, request: &Request, now: Timestamp) -> Result<Standing, Standing> {
    let token = bearer(request.headers()).filter(|token| state.tokens.contains_key(token));
    let (path, is_post) = (request.uri().path(), request.method() == Method::POST);
    let asks_for_page = request.uri().query().is_some_and(|query| {
        query.split('&').any(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            ["page", "min_id", "max_id", "since_id"].contains(&name) && !value.is_empty()
        })
    });
    let mut fitting: Vec<(Limit, &str)> = match &token {
        Some(token) => vec![(PER_ACCOUNT, ONE), (PER_TOKEN, token)],
        None => vec![(WITHOUT_TOKEN, ONE)],
    };
    if asks_for_page {
        let pages = match &token {
            Some(_) => PAGES,
            None => PAGES_WITHOUT_TOKEN,
        };
        fitting.push((pages, ONE));
    }
    if token.is_some() && is_post && path.ends_with("/media") {
        fitting.push((UPLOADS, ONE));
    }
    if token.is_some()
        && request.method() == Method::DELETE
        && path.starts_with("/api/v1/statuses/")
    {
        fitting.push((DELETIONS, ONE));
    }
    let tightest = state.windows.take_all(&fitting, 1, now)?;
    // One of the two kinds of callers always fits.
    Ok(tightest.unwrap_or_else(|| state.windows.look(&WITHOUT_TOKEN, ONE, now)))
}

/// How the limit of new statuses stands.
pub(super) fn statuses(state: &mut State, now: Timestamp) -> Standing {
    state.windows.look(&STATUSES, ONE, now)
}

/// Counts a new status, or answers that there are too many.
pub(super) fn one_more_status(state: &mut State, now: Timestamp) -> Result<(), Box<Response>> {
    match state.windows.take(&STATUSES, ONE, 1, now) {
        Ok(_) => Ok(()),
        Err(over) => Err(Box::new(too_many(&over))),
    }
}

/// Headers of a limit, unless the answer tells of a tighter one.
pub(super) fn describe(response: &mut Response, standing: &Standing) {
    let told = response
        .headers()
        .get(REMAINING)
        .and_then(|left| left.to_str().ok()?.parse::<u64>().ok());
    if told.is_some_and(|told| told <= standing.left) {
        return;
    }
    let reset = standing
        .reset
        .to_chrono()
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    for (name, value) in [
        ("x-ratelimit-limit", standing.most.to_string()),
        (REMAINING, standing.left.to_string()),
        ("x-ratelimit-reset", reset),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}

fn too_many(over: &Standing) -> Response {
    let mut response = answer(429, json!({ "error": "Too many requests" }));
    describe(&mut response, &Standing { left: 0, ..*over });
    response
}
