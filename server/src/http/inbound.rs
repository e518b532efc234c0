//! `POST /in/{token}`: where other programs call.
//!
//! Owns taking the request apart. Must not judge it. Invariant: it reads no cookie and no bearer token; what
//! the caller may do follows from the address and the signature alone.

use std::collections::BTreeMap;

use axum::{
    extract::{Path, Request, State},
    http::{HeaderMap, StatusCode},
};
use so_model::api::hook::Accepted;

use super::{Endpoint, Json, json::read_body};
use crate::app::{
    App,
    failure::Outcome,
    webhooks::{CALL_BYTES_MAX, Call, receive},
};

pub(super) fn endpoint() -> Endpoint {
    Endpoint::post("/in/{token}", "hooks.call", handle)
        .says("Calls an inbound webhook")
        .explains(
            "Takes JSON, CloudEvents (structured and binary), forms and text. 202 means that the event is on disk. \
             A repetition with the same Idempotency-Key, webhook-id or CloudEvents id is answered with the first event.",
        )
        .for_everybody()
        .takes_other("*/*")
        .body_max(CALL_BYTES_MAX)
        .answers::<Accepted>(202)
}

async fn handle(
    State(app): State<App>,
    Path(token): Path<String>,
    request: Request,
) -> Outcome<(StatusCode, Json<Accepted>)> {
    let query = request.uri().query().unwrap_or_default().to_string();
    let headers = headers_of(request.headers());
    let body = read_body(request, &app).await?.to_vec();
    let accepted = receive(
        &app,
        &token,
        &Call {
            headers,
            query,
            body,
        },
    )
    .await?;
    Ok((StatusCode::ACCEPTED, Json(accepted)))
}

// Values that are no text are left out: no scheme of ours signs with one.
fn headers_of(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for (name, value) in headers {
        if let Ok(text) = value.to_str() {
            all.entry(name.as_str().to_string())
                .or_insert_with(|| text.to_string());
        }
    }
    all
}
