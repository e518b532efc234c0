//! What came back.
//!
//! Owns bounded reading of a body and the many ways a server says "come back later". Must not judge statuses:
//! a 500 is an answer here. Invariant: no more than the request's limit is ever held or handed out.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use chrono::DateTime;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use tokio::time::Instant;
use url::Url;

use crate::error::{NetError, classify};

/// A complete answer.
#[derive(Clone)]
pub struct OutboundResponse {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// The URL that answered, after redirects.
    pub final_url: Url,
}

impl std::fmt::Debug for OutboundResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Headers set cookies and bodies hold tokens: neither is printed.
        f.debug_struct("OutboundResponse")
            .field("status", &self.status)
            .field("host", &self.final_url.host_str())
            .field("bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl OutboundResponse {
    /// A header by name in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// True for 200 to 299.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How long the server asks to be left alone. `now` is microseconds since 1970.
    pub fn retry_after(&self, now: i64) -> Option<Duration> {
        retry_after(self.status, &self.headers, now)
    }

    /// The body as JSON.
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_slice(&self.body)
    }

    /// The body as text; bytes that are no UTF-8 become replacement characters.
    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}

/// An answer whose body is read piece by piece.
pub struct OutboundStream {
    pub status: u16,
    pub headers: HeaderMap,
    pub final_url: Url,
    response: reqwest::Response,
    host: String,
    limit: u64,
    read: u64,
    deadline: Instant,
    total: Duration,
}

impl OutboundStream {
    pub(crate) fn new(
        response: reqwest::Response,
        host: String,
        limit: u64,
        deadline: Instant,
        total: Duration,
    ) -> Result<Self, NetError> {
        if response
            .content_length()
            .is_some_and(|length| length > limit)
        {
            return Err(NetError::BodyTooLarge { host, limit });
        }
        Ok(OutboundStream {
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            final_url: response.url().clone(),
            response,
            host,
            limit,
            read: 0,
            deadline,
            total,
        })
    }

    /// A header by name in any case, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }

    /// The next piece of the body, `None` at its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, NetError> {
        let late = || NetError::TimedOutAfterSend {
            host: self.host.clone(),
            after: self.total,
        };
        let chunk = tokio::time::timeout_at(self.deadline, self.response.chunk())
            .await
            .map_err(|_| late())?
            .map_err(|e| classify(e, &self.host, self.total))?;
        if let Some(chunk) = &chunk {
            self.read = self.read.saturating_add(chunk.len() as u64);
            if self.read > self.limit {
                return Err(NetError::BodyTooLarge {
                    host: self.host.clone(),
                    limit: self.limit,
                });
            }
        }
        Ok(chunk)
    }

    /// Reads the rest of the body.
    pub async fn collect(mut self) -> Result<OutboundResponse, NetError> {
        let mut body = BytesMut::new();
        while let Some(chunk) = self.chunk().await? {
            body.extend_from_slice(&chunk);
        }
        Ok(OutboundResponse {
            status: self.status,
            headers: self.headers,
            body: body.freeze(),
            final_url: self.final_url,
        })
    }
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// Headers in which networks say when a limit is lifted, as a moment or a number of seconds.
const RESET_HEADERS: &[&str] = &[
    "x-ratelimit-reset-after",
    "x-ratelimit-reset",
    "x-rate-limit-reset",
    "ratelimit-reset",
];
const REMAINING_HEADERS: &[&str] = &[
    "x-ratelimit-remaining",
    "x-rate-limit-remaining",
    "ratelimit-remaining",
];
/// A bare number above this is a moment in seconds since 1970 (2001), below it a number of seconds from now.
const FIRST_UNIX_SECONDS: f64 = 1e9;
/// Above this it is a moment in milliseconds.
const FIRST_UNIX_MILLIS: f64 = 1e11;

/// Reads how long a server wants to be left alone from its headers. `now` is microseconds since 1970.
///
/// `Retry-After` counts always; a rate-limit reset only when the limit is used up (429, or nothing remaining).
pub fn retry_after(status: u16, headers: &HeaderMap, now: i64) -> Option<Duration> {
    if let Some(wait) = headers
        .get(RETRY_AFTER)
        .and_then(|v| v.to_str().ok())
        .and_then(|text| wait_of(text, now))
    {
        return Some(wait);
    }
    let nothing_left = REMAINING_HEADERS
        .iter()
        .any(|name| header(headers, name).is_some_and(|left| left.trim() == "0"));
    if status != 429 && !nothing_left {
        return None;
    }
    RESET_HEADERS
        .iter()
        .find_map(|name| wait_of(header(headers, name)?, now))
}

fn wait_of(text: &str, now: i64) -> Option<Duration> {
    let text = text.trim();
    if let Ok(number) = text.parse::<f64>() {
        if !number.is_finite() || number < 0.0 {
            return None;
        }
        let seconds = match number {
            n if n >= FIRST_UNIX_MILLIS => n / 1e3 - now as f64 / 1e6,
            n if n >= FIRST_UNIX_SECONDS => n - now as f64 / 1e6,
            n => n,
        };
        return Duration::try_from_secs_f64(seconds.max(0.0)).ok();
    }
    let moment = DateTime::parse_from_rfc2822(text)
        .or_else(|_| DateTime::parse_from_rfc3339(text))
        .ok()?;
    let wait = moment.timestamp_micros().saturating_sub(now).max(0);
    Some(Duration::from_micros(wait.unsigned_abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-01T00:00:00Z
    const NOW: i64 = 1_767_225_600_000_000;

    fn wait(status: u16, fields: &[(&'static str, &str)]) -> Option<u64> {
        let headers = fields
            .iter()
            .map(|(n, v)| (n.parse().unwrap(), v.parse().unwrap()))
            .collect();
        retry_after(status, &headers, NOW).map(|wait| wait.as_secs())
    }

    #[test]
    fn both_forms_of_retry_after_are_read() {
        assert_eq!(wait(503, &[("retry-after", "120")]), Some(120));
        assert_eq!(
            wait(503, &[("retry-after", "Thu, 01 Jan 2026 00:01:30 GMT")]),
            Some(90)
        );
        assert_eq!(
            wait(503, &[("retry-after", "Wed, 31 Dec 2025 00:00:00 GMT")]),
            Some(0)
        );
        assert_eq!(wait(503, &[("retry-after", "soon")]), None);
        assert_eq!(wait(503, &[("retry-after", "-5")]), None);
        assert_eq!(wait(503, &[("retry-after", "inf")]), None);
    }

    #[test]
    fn rate_limit_resets_are_read_in_every_form_networks_use() {
        assert_eq!(
            wait(429, &[("x-ratelimit-reset", "2026-01-01T00:05:00.000Z")]),
            Some(300)
        );
        assert_eq!(wait(429, &[("x-rate-limit-reset", "1767225660")]), Some(60));
        assert_eq!(wait(429, &[("ratelimit-reset", "1767225660")]), Some(60));
        assert_eq!(
            wait(429, &[("x-ratelimit-reset", "1767225660000")]),
            Some(60)
        );
        assert_eq!(wait(429, &[("x-ratelimit-reset-after", "2.5")]), Some(2));
        assert_eq!(
            wait(
                200,
                &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "30")]
            ),
            Some(30)
        );
        assert_eq!(
            wait(
                200,
                &[("x-ratelimit-remaining", "7"), ("x-ratelimit-reset", "30")]
            ),
            None
        );
    }
}
