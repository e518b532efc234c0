//! The first look at an address.
//!
//! Invariant: an address is judged by the outbound guard before anything is stored or asked for.

use so_model::problem::FieldError;
use so_net::Url;
use so_triggers::feed::{FeedError, FetchOutcome, ParsedFeed, fetch_feed, parse_feed};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// Longest address.
const URL_BYTES_MAX: usize = 2_000;

/// An address that the server may call, without its fragment.
pub(crate) fn judge_url(app: &App, text: &str, allow_http: bool) -> Outcome<Url> {
    let expected = if allow_http {
        "a public http or https address"
    } else {
        "a public https address"
    };
    let wrong = |reason: String| Failure::field("/url", reason, expected);
    if text.len() > URL_BYTES_MAX {
        return Err(wrong("is too long".into()));
    }
    let mut url = app
        .outbound
        .guard()
        .check_text(text.trim(), allow_http)
        .map_err(|error| wrong(error.to_string()))?;
    url.set_fragment(None);
    Ok(url)
}

/// What a feed said when it was asked for the first time.
pub(super) struct FirstRead {
    pub parsed: ParsedFeed,
    pub etag: Option<String>,
    pub last_modified: Option<String>,
    pub max_age: Option<std::time::Duration>,
}

/// Asks for a feed that a person wants to subscribe, and says what to do when that is no use.
pub(super) async fn first_read(app: &App, url: &str) -> Outcome<FirstRead> {
    match fetch_feed(&app.outbound, url, None, None, app.now().micros()).await {
        FetchOutcome::Body {
            bytes,
            content_type,
            etag,
            last_modified,
            final_url,
            max_age,
        } => {
            let read = move || parse_feed(&bytes, content_type.as_deref(), &final_url);
            let parsed = app
                .bench
                .work(read)
                .await?
                .map_err(|error| unreadable(&error, "/url"))?;
            Ok(FirstRead {
                parsed,
                etag,
                last_modified,
                max_age,
            })
        }
        FetchOutcome::Failed { problem, .. } => Err(unreachable(problem)),
        FetchOutcome::Gone => Err(unreachable(
            "the server answered 410: the feed was taken away for good".into(),
        )),
        FetchOutcome::NotModified { .. } => Err(unreachable(
            "the server answered 304 although nothing was known".into(),
        )),
    }
}

fn unreachable(problem: String) -> Failure {
    let mut failure = Failure::new(422, "feed.unreachable", "The feed could not be read")
        .detail(problem.clone())
        .next_step("Check the address, or try again later.");
    failure.problem.errors =
        vec![FieldError::new("/url", problem).expected("the address of a feed")];
    failure
}

/// A document that is no feed; a web page's own feeds are proposed.
pub(crate) fn unreadable(error: &FeedError, pointer: &str) -> Failure {
    let alternates = match error {
        FeedError::Html { feeds } => feeds.as_slice(),
        _ => &[],
    };
    let code = if matches!(error, FeedError::Html { .. }) {
        "feed.web_page"
    } else {
        "feed.unreadable"
    };
    let field = FieldError::new(pointer, error.to_string()).expected("the address of a feed");
    let mut failure = Failure::new(422, code, "This is not a feed that can be read")
        .detail(error.to_string())
        .next_step(if alternates.is_empty() {
            "Check the address."
        } else {
            "Use one of the addresses that are suggested."
        });
    failure.problem.errors = match alternates {
        [] => vec![field],
        some => some
            .iter()
            .map(|url| field.clone().suggest(Some(url.clone())))
            .collect(),
    };
    failure
}
