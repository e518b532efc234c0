//! Answers of networks.
//!
//! Owns the promise of `connectors`: whatever a network sends, it is read, refused or doubted; never
//! a panic, and never an id that is empty. Input: the status, `name: value` headers, an empty line,
//! the body.

use so_connectors::{CommitOutcome, bluesky, mastodon};
use so_net::{HeaderMap, HeaderName, HeaderValue, OutboundResponse, Url};

pub(crate) fn run(data: &[u8]) {
    let at = data.windows(2).position(|pair| pair == b"\n\n");
    let (head, body) = data.split_at(at.unwrap_or(data.len()));
    let head = crate::text_of(head);
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.trim().parse().ok())
        .unwrap_or(200);
    let mut headers = HeaderMap::new();
    for line in lines.take(32) {
        if let Some((name, value)) = line.split_once(':')
            && let (Ok(name), Ok(value)) = (
                name.trim().parse::<HeaderName>(),
                HeaderValue::from_str(value.trim()),
            )
        {
            headers.append(name, value);
        }
    }
    let answer = OutboundResponse {
        status,
        headers,
        body: body.get(2..).unwrap_or_default().to_vec().into(),
        final_url: Url::parse("https://social.example/api").unwrap(),
    };
    for outcome in [
        mastodon::answers::read(&answer),
        bluesky::answers::read(&answer),
    ] {
        if let Some(CommitOutcome::Published {
            remote_id,
            remote_url,
            ..
        }) = outcome
        {
            assert!(!remote_id.is_empty(), "published without an id");
            assert!(
                remote_url.is_none_or(|url| url.starts_with("http")),
                "a page that is none"
            );
        }
    }
}
