//! Feeds: fetching, reading, comparing and pacing.
//!
//! Owns the way from bytes to items whose identity is stable from poll to poll. Must not know the database,
//! rules or the clock. Invariant: a document that is no feed is an error, never an empty list of items.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod chars;
mod convert;
mod dates;
mod diff;
mod encoding;
mod fetch;
mod html;
mod json;
mod opml;
mod poll;
mod repair;
mod tags;
#[cfg(test)]
mod tests;
mod text;

use serde::{Deserialize, Serialize};

pub use dates::parse_date;
pub use diff::{FeedDiff, diff_items};
pub use fetch::{FEED_ACCEPT, FetchOutcome, fetch_feed};
pub use opml::{MAX_OPML_FEEDS, Opml, OpmlFeed, OpmlProblem, parse_opml};
pub use poll::{PollOutcome, next_poll};

/// Largest feed that is read: the largest honest ones are podcast archives of about 4 MiB.
pub const MAX_FEED_BYTES: usize = 5 * 1024 * 1024;
/// Most items kept of one document. Feeds list newest first, so the oldest are dropped.
pub const MAX_FEED_ITEMS: usize = 2_000;
/// Deepest nesting of elements: feeds with XHTML inside reach about 20.
pub const MAX_XML_DEPTH: usize = 64;
/// Most attributes of one element.
pub const MAX_XML_ATTRIBUTES: usize = 200;
/// Longest title, name, category or URL kept.
pub const MAX_SHORT_CHARS: usize = 2_000;
/// Longest summary kept.
pub const MAX_SUMMARY_CHARS: usize = 20_000;
/// Longest HTML content kept.
pub const MAX_CONTENT_CHARS: usize = 200_000;
/// Most categories and enclosures kept of one item.
pub const MAX_PER_ITEM: usize = 50;

/// A feed as read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ParsedFeed {
    pub title: String,
    pub site_url: Option<String>,
    /// In the order of the document, at most [`MAX_FEED_ITEMS`], each key once.
    pub items: Vec<FeedItem>,
    /// What was dropped or repaired so that a person should know of it.
    pub warnings: Vec<String>,
}

/// One entry of a feed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedItem {
    /// `guid:…`, `link:…` or `hash:…`: the same from poll to poll.
    pub key: String,
    pub title: String,
    /// Absolute, http or https.
    pub link: Option<String>,
    /// Plain text.
    pub summary: String,
    /// As the feed wrote it: whoever shows it must sanitise it.
    pub content_html: Option<String>,
    pub author: Option<String>,
    /// Microseconds since 1970.
    pub published_at: Option<i64>,
    /// Microseconds since 1970.
    pub updated_at: Option<i64>,
    pub categories: Vec<String>,
    pub image_url: Option<String>,
    pub enclosures: Vec<Enclosure>,
    pub language: Option<String>,
    /// Of title, link, summary and content: differs when the entry was edited.
    pub content_hash: String,
}

/// A file that comes with an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Enclosure {
    pub url: String,
    pub mime: Option<String>,
    pub length: Option<u64>,
}

/// Why a document gave no feed. Each says what to do next.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FeedError {
    #[error("the document is empty; check that the address is the feed's own")]
    Empty,
    #[error("the document is larger than {MAX_FEED_BYTES} bytes; ask for a feed with fewer items")]
    TooLarge,
    #[error("the document is a web page, not a feed; {}", next_step(.feeds))]
    Html { feeds: Vec<String> },
    #[error(
        "the document is {what}, not a feed; look for an address that ends in rss, atom or feed"
    )]
    NotAFeed { what: String },
    #[error("the document is a list of feeds (OPML); import it as a list instead")]
    Opml,
    #[error("the document is not a list of feeds (OPML): {what}")]
    NotOpml { what: String },
    #[error("the feed is broken: {detail}; tell its publisher")]
    Malformed { detail: String },
    #[error("the feed nests elements deeper than {MAX_XML_DEPTH}")]
    TooDeep,
    #[error("the feed has an element with more than {MAX_XML_ATTRIBUTES} attributes")]
    TooManyAttributes,
}

fn next_step(feeds: &[String]) -> String {
    match feeds {
        [] => "it names no feed of its own, so look for an RSS link on the site".to_owned(),
        [one] => format!("use the feed it names: {one}"),
        many => format!("use one of the feeds it names: {}", many.join(", ")),
    }
}

/// Reads a feed of any kind.
///
/// `content_type` is the HTTP header; `base_url` is where the document came from, for relative links.
pub fn parse_feed(
    bytes: &[u8],
    content_type: Option<&str>,
    base_url: &str,
) -> Result<ParsedFeed, FeedError> {
    if bytes.len() > MAX_FEED_BYTES {
        return Err(FeedError::TooLarge);
    }
    let text = encoding::decode(bytes, content_type);
    let text =
        text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}');
    if text.trim_end().is_empty() {
        return Err(FeedError::Empty);
    }
    let text = without_preamble(text);
    let base = url::Url::parse(base_url).ok();
    if text.starts_with(['{', '[']) {
        return json::parse(text, base.as_ref());
    }
    if html::is_page(text) {
        return Err(FeedError::Html {
            feeds: html::alternates(text, base.as_ref()),
        });
    }
    if !text.contains('<') {
        return Err(FeedError::NotAFeed {
            what: "plain text".to_owned(),
        });
    }
    convert::parse_xml(text, base.as_ref())
}

/// Drops what a server printed before the document, such as a warning of its own.
fn without_preamble(text: &str) -> &str {
    match text.find("<?xml") {
        Some(at)
            if at <= MAX_PREAMBLE_BYTES && !ROOTS.iter().any(|root| text[..at].contains(root)) =>
        {
            &text[at..]
        }
        _ => text,
    }
}

/// Longest text in front of a document that is taken for noise.
const MAX_PREAMBLE_BYTES: usize = 16 * 1024;
const ROOTS: &[&str] = &[
    "<rss",
    "<feed",
    "<rdf:RDF",
    "<RDF",
    "<channel",
    "<opml",
    "<!DOCTYPE",
];

/// Puts what every kind of feed has in common in order: bounds, keys, hashes and duplicates.
fn finish(mut feed: ParsedFeed, guids: Vec<Option<String>>) -> ParsedFeed {
    if feed.items.len() > MAX_FEED_ITEMS {
        feed.warnings.push(format!(
            "only the first {MAX_FEED_ITEMS} of {} items were read",
            feed.items.len()
        ));
        feed.items.truncate(MAX_FEED_ITEMS);
    }
    let mut seen = std::collections::HashSet::new();
    let mut kept = Vec::with_capacity(feed.items.len());
    for (mut item, guid) in feed.items.into_iter().zip(guids) {
        item.categories.truncate(MAX_PER_ITEM);
        item.enclosures.truncate(MAX_PER_ITEM);
        item.key = diff::key_of(guid.as_deref(), &item);
        item.content_hash = diff::content_hash(&item);
        if seen.insert(item.key.clone()) {
            kept.push(item);
        }
    }
    feed.items = kept;
    feed
}
