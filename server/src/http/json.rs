//! JSON in and out.
//!
//! Owns the reading of bodies. Invariant: what is wrong is told with the place: line and column when it is no
//! JSON, the pointer of the field when it is JSON of another shape.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Serialize, de::DeserializeOwned};
use so_model::problem::{FieldError, Problem};

use crate::{
    app::failure::{Failure, Outcome},
    config::nearest,
};

/// Longest JSON body, unless an endpoint says otherwise.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// A body must arrive within this, so that a slow sender holds no place.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub struct Json<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Self, Failure> {
        check_type(request.headers())?;
        let bytes = read_body(request, state).await?;
        parse(&bytes).map(Self)
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(body) => {
                const JSON: HeaderValue = HeaderValue::from_static("application/json");
                ([(header::CONTENT_TYPE, JSON)], body).into_response()
            }
            Err(error) => {
                tracing::error!(%error, "an answer could not be written as JSON");
                Failure::internal().into_response()
            }
        }
    }
}

/// The whole body, within the endpoint's bound and [`BODY_TIMEOUT`].
pub async fn read_body<S: Send + Sync>(request: Request, state: &S) -> Outcome<Bytes> {
    match tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, state)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(rejection)) if rejection.status() == 413 => Err(too_large()),
        Ok(Err(_)) => Err(
            Failure::new(400, "request.body_broken", "The request broke off")
                .next_step("Send it again."),
        ),
        Err(_) => Err(
            Failure::new(408, "request.too_slow", "The request arrived too slowly")
                .next_step("Send it again over a better connection."),
        ),
    }
}

/// A body beyond its bound.
pub fn too_large() -> Failure {
    Failure::new(413, "request.too_large", "The request is too large")
        .next_step("Send less at once.")
}

// Exact: what other sites can send without being asked first (text, forms) is never taken for JSON.
fn check_type(headers: &HeaderMap) -> Outcome<()> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let only = types
        .next()
        .filter(|_| types.next().is_none())
        .and_then(|value| value.to_str().ok());
    let mut parts = only.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|part| {
        part.is_empty() || part.to_ascii_lowercase().replace('"', "") == "charset=utf-8"
    });
    if is_json && is_utf8 {
        return Ok(());
    }
    Err(
        Failure::new(415, "request.content_type", "The request is not JSON")
            .detail("The header Content-Type must be application/json, in UTF-8.")
            .next_step("Send the body as application/json."),
    )
}

/// Reads JSON of one shape.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Outcome<T> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let pointer = pointer_of(error.path());
        failure(error.into_inner(), pointer)
    })?;
    reader
        .end()
        .map_err(|error| failure(error, String::new()))?;
    Ok(value)
}

fn failure(error: serde_json::Error, pointer: String) -> Failure {
    if !error.is_data() {
        let reason = without_place(&error.to_string());
        let place = FieldError {
            line: u32::try_from(error.line()).ok(),
            column: u32::try_from(error.column()).ok(),
            ..FieldError::new("", reason)
        };
        return Problem::new(400, "request.malformed", "The body is not valid JSON")
            .detail(format!(
                "At line {}, column {}.",
                error.line(),
                error.column()
            ))
            .next_step("Correct the JSON and send it again.")
            .with_errors(vec![place])
            .into();
    }
    Failure::invalid(vec![field_error(
        pointer,
        &without_place(&error.to_string()),
    )])
}

// serde names what it knows between backticks: "unknown field `a`, expected one of `b`, `c`".
fn field_error(pointer: String, message: &str) -> FieldError {
    let names: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let (reason, expected) = message.split_once(", expected ").unwrap_or((message, ""));
    let error = |pointer: String, reason: &str| {
        FieldError::new(pointer, reason).expected(expected.replace('`', ""))
    };
    match names.split_first() {
        Some((wrong, known)) if message.starts_with("unknown field") => {
            let below = if pointer.ends_with(&format!("/{wrong}")) {
                pointer
            } else {
                format!("{pointer}/{wrong}")
            };
            let near = nearest(wrong, known.iter().copied()).map(str::to_string);
            error(below, "is not known here").suggest(near)
        }
        Some((wrong, known)) if message.starts_with("unknown variant") => {
            let near = nearest(wrong, known.iter().copied()).map(str::to_string);
            error(pointer, &format!("{wrong} is not known here")).suggest(near)
        }
        Some((missing, _)) if message.starts_with("missing field") => {
            error(format!("{pointer}/{missing}"), "is missing")
        }
        Some((twice, _)) if message.starts_with("duplicate field") => {
            error(format!("{pointer}/{twice}"), "is given twice")
        }
        _ => error(pointer, reason),
    }
}

fn without_place(message: &str) -> String {
    message
        .rsplit_once(" at line ")
        .map_or(message, |(reason, _)| reason)
        .to_string()
}

fn pointer_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => pointer.push_str(&format!("/{index}")),
            Segment::Map { key } => {
                pointer.push_str(&format!("/{}", key.replace('~', "~0").replace('/', "~1")))
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    pointer
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Outer {
        name: String,
        inner: Vec<Inner>,
    }
    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Inner {
        role: so_model::workspace::Role,
    }

    fn error(text: &str) -> FieldError {
        parse::<Outer>(text.as_bytes())
            .unwrap_err()
            .problem
            .errors
            .remove(0)
    }

    #[test]
    fn a_wrong_field_is_told_by_its_pointer() {
        let wrong = error(r#"{"name": "a", "inner": [{"role": "owner"}, {"role": "edtor"}]}"#);
        assert_eq!(
            (wrong.pointer.as_str(), wrong.suggestion.as_deref()),
            ("/inner/1/role", Some("editor"))
        );
        let wrong = error(r#"{"nam": "a"}"#);
        assert_eq!(
            (wrong.pointer.as_str(), wrong.suggestion.as_deref()),
            ("/nam", Some("name"))
        );
        assert_eq!(error(r#"{"name": "a"}"#).pointer, "/inner");
        assert_eq!(
            error(r#"{"name": "a", "name": "b", "inner": []}"#).pointer,
            "/name"
        );
        let wrong = error(r#"{"name": 5, "inner": []}"#);
        assert_eq!(
            (wrong.pointer.as_str(), wrong.expected.as_str()),
            ("/name", "a string")
        );
    }

    #[test]
    fn what_is_no_json_is_told_by_line_and_column() {
        for text in [
            "",
            "{",
            "{\"name\": \"a\",\n}",
            "nonsense",
            "{} trailing",
            &"[".repeat(100_000),
        ] {
            let failure = parse::<Outer>(text.as_bytes()).unwrap_err();
            let is_syntax = failure.problem.code == "request.malformed"
                && failure.problem.errors[0].line.is_some();
            assert!(
                is_syntax || text == "{} trailing" || text.starts_with('['),
                "{text:.20}: {failure:?}"
            );
        }
    }
}
