//! Fetching one feed.
//!
//! Owns the conditional request and the reading of its answer's headers. Must not parse the body. Invariant: one
//! call is one poll; it never tries twice.

use std::time::Duration;

use so_net::{Bytes, NetError, Outbound, OutboundRequest, OutboundResponse, Purpose, Redirects};

use super::MAX_FEED_BYTES;

/// Kinds of feed we read, best first.
pub const FEED_ACCEPT: &str = "application/atom+xml, application/rss+xml, application/feed+json, application/rdf+xml;q=0.9, \
     application/xml;q=0.8, text/xml;q=0.8, application/json;q=0.6, */*;q=0.1";
/// Bound on one poll: slow feeds exist, and there is always a next time.
const DEADLINE: Duration = Duration::from_secs(30);
/// Longest validator kept: it is sent back with every poll.
const MAX_VALIDATOR_BYTES: usize = 1_000;

/// What a poll brought.
#[derive(Clone, Debug)]
pub enum FetchOutcome {
    NotModified {
        etag: Option<String>,
        last_modified: Option<String>,
        max_age: Option<Duration>,
    },
    Body {
        bytes: Bytes,
        content_type: Option<String>,
        etag: Option<String>,
        last_modified: Option<String>,
        /// Where it came from after redirects: the base of relative links.
        final_url: String,
        max_age: Option<Duration>,
    },
    /// 410: stop asking.
    Gone,
    Failed {
        /// For people: what happened, without paths or queries.
        problem: String,
        status: Option<u16>,
        retry_after: Option<Duration>,
        /// Trying again is of no use until the address or the instance's settings change.
        permanent: bool,
    },
}

/// Asks for a feed, with what the last answer said about its version. `now` is microseconds since 1970.
pub async fn fetch_feed(
    outbound: &Outbound,
    url: &str,
    etag: Option<&str>,
    last_modified: Option<&str>,
    now: i64,
) -> FetchOutcome {
    let mut request = OutboundRequest::get(url)
        .purpose(Purpose::Feed)
        .allow_http(true)
        .redirects(Redirects::Follow(3))
        .deadline(DEADLINE)
        .max_response_bytes(MAX_FEED_BYTES as u64)
        .header("accept", FEED_ACCEPT);
    if let Some(etag) = etag {
        request = request.header("if-none-match", etag);
    }
    if let Some(last_modified) = last_modified {
        request = request.header("if-modified-since", last_modified);
    }
    match outbound.send(request).await {
        Ok(answer) => read(answer, now),
        Err(error) => failed(&error),
    }
}

fn failed(error: &NetError) -> FetchOutcome {
    let permanent = error.is_permanent();
    FetchOutcome::Failed {
        problem: error.to_string(),
        status: None,
        retry_after: None,
        permanent,
    }
}

fn read(answer: OutboundResponse, now: i64) -> FetchOutcome {
    let etag = validator(&answer, "etag");
    let last_modified = validator(&answer, "last-modified");
    let max_age = answer.header("cache-control").and_then(max_age);
    match answer.status {
        304 => FetchOutcome::NotModified {
            etag,
            last_modified,
            max_age,
        },
        410 => FetchOutcome::Gone,
        200..=299 => FetchOutcome::Body {
            content_type: answer.header("content-type").map(str::to_owned),
            final_url: answer.final_url.to_string(),
            bytes: answer.body,
            etag,
            last_modified,
            max_age,
        },
        status => FetchOutcome::Failed {
            problem: format!("the server answered with status {status}{}", advice(status)),
            status: Some(status),
            retry_after: answer.retry_after(now),
            permanent: false,
        },
    }
}

fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 => "; check whether the feed is open to everybody",
        404 => "; check the feed's address",
        429 => "; it wants to be asked less often",
        _ => "",
    }
}

/// A validator that can be sent back as a header.
fn validator(answer: &OutboundResponse, name: &str) -> Option<String> {
    answer
        .header(name)
        .filter(|value| !value.is_empty() && value.len() <= MAX_VALIDATOR_BYTES)
        .map(str::to_owned)
}

fn max_age(cache_control: &str) -> Option<Duration> {
    let seconds = cache_control.split(',').find_map(|part| {
        let (name, value) = part.trim().split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("max-age")
            .then(|| value.trim().trim_matches('"').parse().ok())?
    })?;
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn max_age_is_found_among_other_directives() {
        assert_eq!(
            max_age("public, Max-Age=\"600\""),
            Some(Duration::from_secs(600))
        );
        assert_eq!(max_age("s-maxage=5, max-age=x"), None);
        assert_eq!(max_age("no-cache"), None);
    }
}
