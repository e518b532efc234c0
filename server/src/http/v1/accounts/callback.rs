//! `GET /api/v1/sign-in/callback`
//!
//! Invariants: whatever comes of it, the person lands in the page, which reads the outcome from the address;
//! only GET uses a state up: what looks ahead at links sends HEAD.

use std::collections::BTreeMap;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use crate::{
    app::{
        App,
        accounts::{self, CALLBACK_PATH, Returned, ticket_name},
    },
    http::Endpoint,
};

/// Parameters that a network sends along at most.
const PARAMETERS_MAX: usize = 20;
/// Longest `Cookie` header that is looked at.
const COOKIES_BYTES_MAX: usize = 8 * 1024;
/// Longest sentence shown to the person, in characters.
const DETAIL_MAX: usize = 300;

pub(super) fn endpoint() -> Endpoint {
    Endpoint::get(CALLBACK_PATH, "accounts.callback", handle)
        .says("Takes a person back from a network and sends them on to the page")
        .explains("For browsers only. The page finds the outcome in its address: `connected`, or `problem` and `detail`.")
        .for_everybody()
        .answers_other(303, "text/html")
}

async fn handle(State(app): State<App>, method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET")]).into_response();
    }
    let query = uri.query().unwrap_or_default();
    let pairs = url::form_urlencoded::parse(query.as_bytes())
        .into_owned()
        .take(PARAMETERS_MAX);
    let callback: BTreeMap<String, String> = pairs.collect();
    let name = ticket_name(
        callback
            .get("state")
            .map(String::as_str)
            .unwrap_or_default(),
    );
    let ticket = find_cookie(&headers, &name);
    let outcome = accounts::finish(&app, Returned { callback, ticket }).await;
    let mut target = url::form_urlencoded::Serializer::new(String::new());
    match outcome {
        Ok(account) => target.append_pair("connected", &account.id.to_string()),
        Err(failure) => {
            let said = format!(
                "{}. {} {}",
                failure.problem.title, failure.problem.detail, failure.problem.next_step
            );
            let detail: String = said.chars().take(DETAIL_MAX).collect();
            target
                .append_pair("problem", &failure.problem.code)
                .append_pair("detail", detail.trim())
        }
    };
    away(&format!("/accounts?{}", target.finish()), &name)
}

// The cookie has done its work, whatever came of it.
fn away(target: &str, cookie: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let ended = format!("{cookie}=; Path={CALLBACK_PATH}; Max-Age=0; HttpOnly; SameSite=Lax");
    if let (Ok(target), Ok(ended)) = (HeaderValue::from_str(target), HeaderValue::from_str(&ended))
    {
        response.headers_mut().insert(header::LOCATION, target);
        response.headers_mut().append(header::SET_COOKIE, ended);
    }
    response
}

fn find_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let pairs = values
        .filter(|value| value.len() <= COOKIES_BYTES_MAX)
        .flat_map(|value| value.split(';'));
    let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
    pairs
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value.to_string())
}
