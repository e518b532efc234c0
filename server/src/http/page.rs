//! The page: files of `ui/dist`, built into the program.
//!
//! Owns what is sent for an address outside `/api`. Invariants: a file whose name carries its hash may be
//! kept for ever, everything else is asked for again; an address of the page's own routes gets the page, a
//! missing file gets 404.

use std::{
    borrow::Cow,
    collections::HashMap,
    io::Read as _,
    sync::{Mutex, PoisonError},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use rust_embed::{EmbeddedFile, RustEmbed};

use crate::app::failure::Failure;

#[derive(RustEmbed)]
#[folder = "../ui/dist"]
#[allow_missing = true]
struct Files;

const INDEX: &str = "index.html";
/// A year, the longest that is honoured.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");
/// Bytes that are unpacked at a time.
const BUFFER: usize = 16 * 1024;
/// Digits of a content hash in a file's name, at the least.
const HASH_DIGITS_MIN: usize = 8;

const UNBUILT: &str = "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>SocialOrchestrator</title></head>\
<body><h1>The server runs, but its page was not built in</h1><p>Run <code>cargo xtask ui</code>, then start the server again. \
The API answers already: see <a href=\"/api/docs\">/api/docs</a>.</p></body></html>\n";

/// Answers an address outside `/api`.
pub async fn serve(uri: Uri, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches('/');
    let is_file = path
        .rsplit('/')
        .next()
        .is_some_and(|name| name.contains('.'));
    match path {
        "" => index(&headers),
        path if is_file && !path.ends_with(".br") => send(path, &headers).unwrap_or_else(missing),
        _ if is_file => missing(),
        _ => index(&headers),
    }
}

fn missing() -> Response {
    Failure::new(
        404,
        "request.no_such_route",
        "There is nothing at this address",
    )
    .next_step("Begin at the first page.")
    .into_response()
}

fn index(headers: &HeaderMap) -> Response {
    send(INDEX, headers).unwrap_or_else(|| {
        let headers = [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CACHE_CONTROL, "no-cache"),
        ];
        (headers, UNBUILT).into_response()
    })
}

/// The file in the way that the reader takes; none if there is no such file.
///
/// The module is built in compressed alone: it is most of the page, and nearly every browser takes it so.
fn send(path: &str, request: &HeaderMap) -> Option<Response> {
    let plain = Files::get(path);
    let packed = Files::get(&format!("{path}.br"));
    let (file, is_compressed, is_unpacked) = match (plain, packed) {
        (_, Some(packed)) if accepts_brotli(request) => (packed, true, false),
        (Some(plain), _) => (plain, false, false),
        (None, Some(packed)) => (packed, false, true),
        (None, None) => return None,
    };
    let tag = etag(&file, is_compressed);
    let mut response = if is_known(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        let data = match is_unpacked {
            true => Cow::Borrowed(unpacked(path, &file)?),
            false => file.data,
        };
        let mut full = Response::new(Body::from(data));
        full.headers_mut()
            .insert(header::CONTENT_TYPE, media_type(path));
        if is_compressed {
            full.headers_mut()
                .insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"));
        }
        full
    };
    let headers = response.headers_mut();
    headers.insert(
        header::CACHE_CONTROL,
        if is_hashed(path) { FOR_EVER } else { ASK_AGAIN },
    );
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    Some(response)
}

/// The plain content of a compressed file; none if it cannot be read.
fn unpacked(path: &str, file: &EmbeddedFile) -> Option<&'static [u8]> {
    // Bounded: there are as many as files that are built in compressed alone, and each is unpacked once.
    static UNPACKED: Mutex<Option<HashMap<String, &'static [u8]>>> = Mutex::new(None);
    let mut all = UNPACKED.lock().unwrap_or_else(PoisonError::into_inner);
    let all = all.get_or_insert_default();
    if let Some(known) = all.get(path) {
        return Some(known);
    }
    let plain: &'static [u8] = match unpack(&file.data) {
        Ok(plain) => plain.leak(),
        Err(error) => {
            tracing::error!(path, %error, "a file of the page cannot be unpacked");
            return None;
        }
    };
    all.insert(path.to_owned(), plain);
    Some(plain)
}

fn unpack(packed: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut plain = Vec::new();
    brotli_decompressor::Decompressor::new(packed, BUFFER).read_to_end(&mut plain)?;
    Ok(plain)
}

fn etag(file: &EmbeddedFile, is_compressed: bool) -> String {
    let hash: String = file.metadata.sha256_hash()[..12]
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("\"{hash}{}\"", if is_compressed { "-br" } else { "" })
}

fn is_known(request: &HeaderMap, tag: &str) -> bool {
    let sent = request
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok());
    sent.flat_map(|value| value.split(','))
        .any(|known| known.trim().trim_start_matches("W/") == tag)
}

fn accepts_brotli(request: &HeaderMap) -> bool {
    let sent = request
        .get_all(header::ACCEPT_ENCODING)
        .iter()
        .filter_map(|value| value.to_str().ok());
    sent.flat_map(|value| value.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let is_brotli = parts
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("br"));
        is_brotli
            && !parts.any(|part| matches!(part.trim_start_matches("q=").parse::<f32>(), Ok(0.0)))
    })
}

/// `name-3b53a85a.css`: the hash changes with the content.
fn is_hashed(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    let hash = stem.rsplit('-').next().unwrap_or_default();
    stem.contains('-')
        && hash.len() >= HASH_DIGITS_MIN
        && hash.bytes().all(|digit| digit.is_ascii_hexdigit())
}

fn media_type(path: &str) -> HeaderValue {
    let guessed = mime_guess::from_path(path).first_or_octet_stream();
    let text = if guessed.type_() == "text" {
        format!("{guessed}; charset=utf-8")
    } else {
        guessed.to_string()
    };
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static("application/octet-stream"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_with_a_hash_are_kept_for_ever() {
        assert!(
            is_hashed("assets/app-3b53a85a.css") && is_hashed("assets/inter-latin-ae9f4060.woff2")
        );
        assert!(
            !is_hashed("index.html")
                && !is_hashed("assets/inter-latin.woff2")
                && !is_hashed("3b53a85a.css")
        );
    }

    #[test]
    fn compression_is_used_when_it_is_welcome() {
        let accepts = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, text.parse().unwrap());
            accepts_brotli(&headers)
        };
        assert!(accepts("gzip, br") && accepts("br;q=0.5"));
        assert!(!accepts("gzip") && !accepts("gzip, br;q=0") && !accepts("brotli"));
    }

    #[test]
    fn what_is_built_in_compressed_alone_can_be_unpacked() {
        let packed = [
            0x8b, 0x06, 0x80, 0x70, 0x61, 0x67, 0x65, 0x20, 0x70, 0x61, 0x67, 0x65, 0x20, 0x70,
            0x61, 0x67, 0x65, 0x03,
        ];
        assert_eq!(unpack(&packed).unwrap(), b"page page page");
        assert!(unpack(&packed[..7]).is_err());
    }

    #[test]
    fn types_are_exact() {
        assert_eq!(media_type("a.wasm"), "application/wasm");
        assert_eq!(media_type("a.js"), "text/javascript; charset=utf-8");
        assert_eq!(media_type("a.unknown"), "application/octet-stream");
    }
}
