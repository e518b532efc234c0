//! How much the double takes: the limits of the reference server.
//!
//! Owns the numbers, the answer of status 429 and the headers. Invariant: a
//! write beyond its limit changes no record, and a call beyond a limit of calls
//! reaches no handler.

use axum::{
    extract::{Request, State as With},
    http::HeaderValue,
    middleware::Next,
    response::Response,
};
use serde_json::json;
use so_model::Timestamp;

use super::{Double, State};
use crate::doubles::{
    answer,
    limits::{Begin, Limit, Standing},
    locked,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const REMAINING: &str = "ratelimit-remaining";
/// The double has one account and one caller's address.
const ONE: &str = "";
/// What a write costs.
pub(super) const CREATE: u64 = 3;
pub(super) const UPDATE: u64 = 2;
pub(super) const DELETE: u64 = 1;

const fn limit(name: &'static str, most: u64, seconds: i64) -> Limit {
    Limit {
        name,
        most,
        seconds,
        begin: Begin::AtFirstUse,
    }
}

const CALLS: Limit = limit("calls", 3_000, 5 * MINUTE);
const SIGN_INS: [Limit; 2] = [
    limit("sign-ins", 30, 5 * MINUTE),
    limit("sign-ins of a day", 300, DAY),
];
const WRITES: [Limit; 2] = [
    limit("writes", 5_000, HOUR),
    limit("writes of a day", 35_000, DAY),
];

/// Lets a call through that is within all limits of calls.
pub(super) async fn guard(With(double): With<Double>, request: Request, next: Next) -> Response {
    let now = double.core.now();
    let is_sign_in = request.uri().path().ends_with(".createSession");
    let counted = {
        let mut state = locked(&double.state);
        let calls = take(&mut state, &[CALLS], 1, now);
        match is_sign_in {
            true => calls.and_then(|_| take(&mut state, &SIGN_INS, 1, now)),
            false => calls,
        }
    };
    match counted {
        Ok(tightest) => {
            let mut response = next.run(request).await;
            describe(&mut response, &tightest);
            response
        }
        Err(over) => too_many(&over),
    }
}

/// Counts the points of a write, or answers that there were too many.
pub(super) fn write(
    state: &mut State,
    points: u64,
    now: Timestamp,
) -> Result<Standing, Box<Response>> {
    take(state, &WRITES, points, now).map_err(|over| Box::new(too_many(&over)))
}

fn take(
    state: &mut State,
    limits: &[Limit],
    points: u64,
    now: Timestamp,
) -> Result<Standing, Standing> {
    let limits: Vec<(Limit, &str)> = limits.iter().map(|limit| (*limit, ONE)).collect();
    let tightest = state.windows.take_all(&limits, points, now)?;
    Ok(tightest.unwrap_or_else(|| state.windows.look(&CALLS, ONE, now)))
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
    for (name, value) in [
        ("ratelimit-limit", standing.most.to_string()),
        (REMAINING, standing.left.to_string()),
        ("ratelimit-reset", standing.reset.seconds().to_string()),
        (
            "ratelimit-policy",
            format!("{};w={}", standing.most, standing.seconds),
        ),
    ] {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
}

fn too_many(over: &Standing) -> Response {
    let body = json!({ "error": "RateLimitExceeded", "message": "Rate Limit Exceeded" });
    let mut response = answer(429, body);
    describe(&mut response, &Standing { left: 0, ..*over });
    response
}
