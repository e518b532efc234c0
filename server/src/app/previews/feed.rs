//! What is in this feed?

use so_model::api::preview::{FeedPreview, PreviewFeed};
use so_net::Bytes;
use so_triggers::feed::{FetchOutcome, fetch_feed, parse_feed};

use crate::app::{
    App,
    failure::{Failure, Outcome},
    feeds::{judge_url, shown, unreadable},
};

/// Items of one answer.
const ITEMS_MAX: usize = 50;
/// Base of relative links in a document that came from nowhere.
const NOWHERE: &str = "https://feed.invalid/";

/// The items of an address or of a document.
pub async fn feed(app: &App, request: PreviewFeed) -> Outcome<FeedPreview> {
    let (bytes, content_type, base, pointer) = match (request.url, request.document) {
        (Some(url), None) => {
            let (bytes, content_type, base) = fetch(app, &url).await?;
            (bytes, content_type, base, "/url")
        }
        (None, Some(document)) => (
            Bytes::from(document),
            Some("text/xml; charset=utf-8".into()),
            NOWHERE.into(),
            "/document",
        ),
        _ => {
            return Err(Failure::field(
                "/url",
                "stands together with a document, or neither is there",
                "one of the two",
            ));
        }
    };
    let read = move || parse_feed(&bytes, content_type.as_deref(), &base);
    let parsed = app
        .bench
        .work(read)
        .await?
        .map_err(|error| unreadable(&error, pointer))?;
    Ok(FeedPreview {
        title: parsed.title,
        site_url: parsed.site_url,
        total: parsed.items.len(),
        items: parsed.items.iter().take(ITEMS_MAX).map(shown).collect(),
        warnings: parsed.warnings,
    })
}

async fn fetch(app: &App, url: &str) -> Outcome<(Bytes, Option<String>, String)> {
    let url = judge_url(app, url, true)?;
    let problem = match fetch_feed(&app.outbound, url.as_str(), None, None, app.now().micros())
        .await
    {
        FetchOutcome::Body {
            bytes,
            content_type,
            final_url,
            ..
        } => return Ok((bytes, content_type, final_url)),
        FetchOutcome::Failed { problem, .. } => problem,
        FetchOutcome::Gone => "the server answered 410: the feed was taken away for good".into(),
        FetchOutcome::NotModified { .. } => {
            "the server answered 304 although nothing was known".into()
        }
    };
    let mut failure = Failure::field("/url", problem, "the address of a feed");
    failure.problem.code = "feed.unreachable".into();
    Err(failure)
}
