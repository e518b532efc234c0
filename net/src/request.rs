//! What is to be sent.
//!
//! Owns the request builder and its bounds. Must not decide where a request may go. Invariant: a request never
//! prints its path, query, headers or body.

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Most redirects that are ever followed.
pub const MAX_REDIRECTS: u8 = 3;
/// Largest answer read unless the request says otherwise: an API's answer is rarely above a few hundred kB.
pub const DEFAULT_RESPONSE_BYTES: u64 = 2 * 1024 * 1024;
/// Largest answer read from a pool that decompresses, whatever the request says: a few kB of gzip can claim to
/// be gigabytes. [`Purpose::Media`] does not decompress and may ask for more.
pub const MAX_DECODED_BYTES: u64 = 16 * 1024 * 1024;

/// What a request is for. Each purpose has a connection pool of its own, so that feeds cannot starve publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub enum Purpose {
    /// Publishing and everything else a network's API is asked.
    Publish,
    /// Polling feeds: many hosts, one request each.
    Feed,
    /// Calls to addresses that users give: webhooks, the HTTP step.
    Webhook,
    /// Media in either direction: large bodies, never decompressed.
    Media,
    /// Tokens, discovery documents, keys.
    Auth,
    /// All the rest.
    #[default]
    Other,
}

impl Purpose {
    pub(crate) const COUNT: usize = 6;

    pub(crate) fn index(self) -> usize {
        match self {
            Purpose::Publish => 0,
            Purpose::Feed => 1,
            Purpose::Webhook => 2,
            Purpose::Media => 3,
            Purpose::Auth => 4,
            Purpose::Other => 5,
        }
    }

    pub(crate) fn decompresses(self) -> bool {
        self != Purpose::Media
    }
}

/// Whether redirects are followed. Only GET and HEAD ever are: a redirected POST would be a second POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Redirects {
    /// A redirect is handed to the caller as the answer.
    #[default]
    None,
    /// At most this many, itself at most [`MAX_REDIRECTS`]; each hop is judged like a first request.
    Follow(u8),
}

impl Redirects {
    pub(crate) fn limit(self) -> u8 {
        match self {
            Redirects::None => 0,
            Redirects::Follow(max) => max.min(MAX_REDIRECTS),
        }
    }
}

/// A body that is produced while it is sent.
pub type BodyStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The body of a request.
#[derive(Default)]
pub enum Body {
    #[default]
    Empty,
    Bytes(Bytes),
    /// With a length the body is sent with `content-length`, which many upload endpoints demand.
    Stream {
        stream: BodyStream,
        length: Option<u64>,
    },
    Multipart(Multipart),
}

/// A `multipart/form-data` body.
#[derive(Default)]
pub struct Multipart {
    parts: Vec<Part>,
}

/// One part of a multipart body.
pub struct Part {
    pub name: String,
    pub file_name: Option<String>,
    pub mime: Option<String>,
    pub content: PartContent,
}

/// Where a part's bytes come from.
pub enum PartContent {
    Bytes(Bytes),
    Stream { stream: BodyStream, length: u64 },
}

impl Multipart {
    /// A form without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a plain field.
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        let content = PartContent::Bytes(Bytes::from(value.into()));
        self.part(Part {
            name: name.into(),
            file_name: None,
            mime: None,
            content,
        })
    }

    /// Adds a file.
    pub fn file(
        self,
        name: impl Into<String>,
        file_name: impl Into<String>,
        mime: impl Into<String>,
        content: PartContent,
    ) -> Self {
        self.part(Part {
            name: name.into(),
            file_name: Some(file_name.into()),
            mime: Some(mime.into()),
            content,
        })
    }

    /// Adds a part.
    pub fn part(mut self, part: Part) -> Self {
        self.parts.push(part);
        self
    }

    fn into_form(self) -> Result<reqwest::multipart::Form, String> {
        let mut form = reqwest::multipart::Form::new();
        for part in self.parts {
            let mut sent = match part.content {
                PartContent::Bytes(bytes) => {
                    let length = bytes.len() as u64;
                    reqwest::multipart::Part::stream_with_length(bytes, length)
                }
                PartContent::Stream { stream, length } => {
                    reqwest::multipart::Part::stream_with_length(wrap(stream), length)
                }
            };
            if let Some(file_name) = part.file_name {
                sent = sent.file_name(file_name);
            }
            if let Some(mime) = part.mime {
                sent = sent
                    .mime_str(&mime)
                    .map_err(|_| format!("\"{}\" is no media type", short(&mime)))?;
            }
            form = form.part(part.name, sent);
        }
        Ok(form)
    }
}

/// A failure of the stream that feeds a request's body.
#[derive(Debug, thiserror::Error)]
#[error("reading the request body failed")]
pub(crate) struct UploadError(#[source] std::io::Error);

fn wrap(stream: BodyStream) -> reqwest::Body {
    reqwest::Body::wrap_stream(stream.map_err(UploadError))
}

/// A request to be sent by [`crate::Outbound`].
pub struct OutboundRequest {
    pub(crate) method: Method,
    pub(crate) url: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Body,
    pub(crate) purpose: Purpose,
    pub(crate) deadline: Option<Duration>,
    pub(crate) max_response_bytes: u64,
    pub(crate) redirects: Redirects,
    pub(crate) allow_http: bool,
    problem: Option<String>,
}

/// Headers that frame the message on the wire. A value from outside here could smuggle a second request.
const OWN_HEADERS: &[&str] = &[
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
];

impl OutboundRequest {
    /// A request with method and URL; the URL is judged when it is sent.
    pub fn new(method: Method, url: impl Into<String>) -> Self {
        OutboundRequest {
            method,
            url: url.into(),
            headers: HeaderMap::new(),
            body: Body::Empty,
            purpose: Purpose::default(),
            deadline: None,
            max_response_bytes: DEFAULT_RESPONSE_BYTES,
            redirects: Redirects::default(),
            allow_http: false,
            problem: None,
        }
    }

    /// A GET request.
    pub fn get(url: impl Into<String>) -> Self {
        Self::new(Method::GET, url)
    }

    /// A POST request.
    pub fn post(url: impl Into<String>) -> Self {
        Self::new(Method::POST, url)
    }

    /// Sets a header, replacing one of the same name. A bad name or value makes the request fail when sent.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let lower = name.to_ascii_lowercase();
        if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("proxy-") {
            return self.fail(format!(
                "the header \"{}\" is set by the client itself",
                short(name)
            ));
        }
        match (
            HeaderName::from_bytes(lower.as_bytes()),
            HeaderValue::from_str(value),
        ) {
            (Ok(name), Ok(mut value)) => {
                value.set_sensitive(true);
                self.headers.insert(name, value);
                self
            }
            (Err(_), _) => self.fail(format!("\"{}\" is no header name", short(name))),
            (_, Err(_)) => self.fail(format!(
                "the header \"{}\" has characters that headers cannot hold",
                short(name)
            )),
        }
    }

    /// Sets `authorization: Bearer …`.
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// Sends these bytes.
    pub fn bytes(mut self, body: impl Into<Bytes>) -> Self {
        self.body = Body::Bytes(body.into());
        self
    }

    /// Sends `value` as JSON.
    pub fn json(mut self, value: &impl serde::Serialize) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => {
                self.headers.insert(
                    reqwest::header::CONTENT_TYPE,
                    HeaderValue::from_static("application/json"),
                );
                self.bytes(body)
            }
            Err(e) => self.fail(format!("the JSON body could not be written: {e}")),
        }
    }

    /// Sends fields as `application/x-www-form-urlencoded`.
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let body = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs(fields)
            .finish();
        self.headers.insert(
            reqwest::header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        self.bytes(body)
    }

    /// Sends a body that is produced while it is sent.
    pub fn stream(mut self, stream: BodyStream, length: Option<u64>) -> Self {
        self.body = Body::Stream { stream, length };
        self
    }

    /// Sends `multipart/form-data`.
    pub fn multipart(mut self, form: Multipart) -> Self {
        self.body = Body::Multipart(form);
        self
    }

    /// Chooses the connection pool.
    pub fn purpose(mut self, purpose: Purpose) -> Self {
        self.purpose = purpose;
        self
    }

    /// Bounds the whole request: redirects, upload and reading the answer included.
    pub fn deadline(mut self, total: Duration) -> Self {
        self.deadline = Some(total);
        self
    }

    /// Bounds the answer's body, counted after decompression.
    pub fn max_response_bytes(mut self, max: u64) -> Self {
        self.max_response_bytes = max;
        self
    }

    /// Chooses whether redirects are followed.
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Accepts plain http to public addresses as well.
    pub fn allow_http(mut self, allow: bool) -> Self {
        self.allow_http = allow;
        self
    }

    pub(crate) fn response_limit(&self) -> u64 {
        match self.purpose.decompresses() {
            true => self.max_response_bytes.min(MAX_DECODED_BYTES),
            false => self.max_response_bytes,
        }
    }

    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    fn fail(mut self, problem: String) -> Self {
        self.problem.get_or_insert(problem);
        self
    }
}

/// Puts a body into a reqwest request.
pub(crate) fn attach(
    builder: reqwest::RequestBuilder,
    body: Body,
) -> Result<reqwest::RequestBuilder, String> {
    Ok(match body {
        Body::Empty => builder,
        Body::Bytes(bytes) => builder.body(bytes),
        Body::Stream { stream, length } => {
            let builder = builder.body(wrap(stream));
            match length {
                Some(length) => builder.header(reqwest::header::CONTENT_LENGTH, length),
                None => builder,
            }
        }
        Body::Multipart(form) => builder.multipart(form.into_form()?),
    })
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

impl fmt::Debug for OutboundRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = url::Url::parse(&self.url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned));
        f.debug_struct("OutboundRequest")
            .field("method", &self.method)
            .field("host", &host)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_frame_the_message_are_refused() {
        for name in [
            "Host",
            "Transfer-Encoding",
            "content-length",
            "Proxy-Authorization",
            "Connection",
        ] {
            assert!(
                OutboundRequest::get("https://a.example")
                    .header(name, "x")
                    .problem()
                    .is_some(),
                "{name}"
            );
        }
        let split = OutboundRequest::get("https://a.example").header("x-a", "secret\r\nx-b: 1");
        assert!(!split.problem().unwrap().contains("secret"));
    }

    #[test]
    fn a_request_never_prints_its_secrets() {
        let request = OutboundRequest::post("https://a.example/p?access_token=hush")
            .bearer("hush")
            .bytes("hush".to_owned());
        assert!(!format!("{request:?} {:?}", request.headers).contains("hush"));
    }
}
