//! `/api/openapi.json` and the explorer at `/api/docs`.
//!
//! Owns a small page of our own: readers of OpenAPI that one can embed bring inline styles or evaluate
//! text, which our content security policy refuses. Invariant: nothing is loaded from elsewhere.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    extract::Path,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};

use super::{openapi, v1};
use crate::app::failure::Failure;

static DOCUMENT: LazyLock<Bytes> =
    LazyLock::new(|| openapi::document(&v1::endpoints()).to_string().into());

/// The document.
pub async fn document() -> Response {
    answer("application/json", DOCUMENT.clone())
}

/// The explorer.
pub async fn page() -> Response {
    answer(
        "text/html; charset=utf-8",
        Bytes::from_static(include_bytes!("docs/index.html")),
    )
}

/// The explorer's parts.
pub async fn file(Path(name): Path<String>) -> Response {
    match name.as_str() {
        "explorer.js" => answer(
            "text/javascript; charset=utf-8",
            Bytes::from_static(include_bytes!("docs/explorer.js")),
        ),
        "explorer.css" => answer(
            "text/css; charset=utf-8",
            Bytes::from_static(include_bytes!("docs/explorer.css")),
        ),
        _ => Failure::not_found("page").into_response(),
    }
}

fn answer(media_type: &'static str, body: Bytes) -> Response {
    const REVALIDATE: HeaderValue = HeaderValue::from_static("no-cache");
    let media_type = HeaderValue::from_static(media_type);
    (
        [
            (header::CONTENT_TYPE, media_type),
            (header::CACHE_CONTROL, REVALIDATE),
        ],
        body,
    )
        .into_response()
}
