//! RSS and Atom.
//!
//! Owns the use of feed-rs and the mapping of its model to ours. Must not see bytes or JSON. Invariant: an item's
//! guid is the one in the document or none, never one that a library made up.

use feed_rs::model::{Entry, Feed, Link, Text};
use url::Url;

use super::repair::Extras;
use super::text::{cap, line, plain, web_url};
use super::{
    Enclosure, FeedError, FeedItem, MAX_CONTENT_CHARS, MAX_FEED_ITEMS, MAX_SHORT_CHARS,
    MAX_SUMMARY_CHARS, ParsedFeed,
};
use super::{finish, parse_date, repair};

pub(super) fn parse_xml(text: &str, base: Option<&Url>) -> Result<ParsedFeed, FeedError> {
    let repaired = repair::repair(text)?;
    match repaired.root.as_str() {
        "rss" | "RDF" | "feed" | "entry" => {}
        "opml" => return Err(FeedError::Opml),
        "html" | "HTML" => {
            return Err(FeedError::Html {
                feeds: super::html::alternates(text, base),
            });
        }
        other => {
            let what = format!("an XML document of the kind <{}>", cap(other, 40));
            return Err(FeedError::NotAFeed { what });
        }
    }
    let parser = feed_rs::parser::Builder::new()
        .base_uri(base.map(Url::as_str))
        .id_generator(|_, _, _| String::new())
        .timestamp_parser(|text| chrono::DateTime::from_timestamp_micros(parse_date(text)?))
        .build();
    let feed = parser
        .parse(repaired.xml.as_bytes())
        .map_err(|error| malformed(&error, &repaired.root))?;
    if repaired.cut_short && feed.entries.is_empty() {
        return Err(FeedError::Malformed {
            detail: "it ends in the middle of an element".to_owned(),
        });
    }
    let mut warnings = Vec::new();
    if repaired.cut_short {
        warnings.push("the feed ended in the middle; only its complete items were read".to_owned());
    }
    if repaired.too_many {
        warnings.push(format!(
            "the feed has more than {MAX_FEED_ITEMS} items; only the first were read"
        ));
    }
    Ok(convert(feed, repaired.extras, base, warnings))
}

fn malformed(error: &feed_rs::parser::ParseFeedError, root: &str) -> FeedError {
    use feed_rs::parser::{ParseErrorKind, ParseFeedError};
    match error {
        ParseFeedError::ParseError(ParseErrorKind::NoFeedRoot) => FeedError::Malformed {
            detail: format!("<{root}> holds no channel"),
        },
        other => FeedError::Malformed {
            detail: cap(&other.to_string(), 200),
        },
    }
}

fn convert(
    feed: Feed,
    extras: Vec<Extras>,
    base: Option<&Url>,
    warnings: Vec<String>,
) -> ParsedFeed {
    let language = feed.language.clone();
    let author = feed
        .authors
        .iter()
        .find_map(|person| person.name.as_deref())
        .map(|name| line(name, MAX_SHORT_CHARS));
    let mut guids = Vec::with_capacity(feed.entries.len());
    let mut items = Vec::with_capacity(feed.entries.len());
    let mut extras = extras.into_iter();
    for entry in feed.entries {
        let guid = entry.id.trim().to_owned();
        let mut item = item_of(entry, &guid, base);
        add_extras(&mut item, extras.next().unwrap_or_default(), base);
        item.language = item.language.or_else(|| language.clone());
        item.author = item.author.or_else(|| author.clone());
        guids.push(Some(guid).filter(|guid| !guid.is_empty()));
        items.push(item);
    }
    let parsed = ParsedFeed {
        title: feed.title.as_ref().map(line_of).unwrap_or_default(),
        site_url: best_link(&feed.links, base),
        items,
        warnings,
    };
    finish(parsed, guids)
}

fn item_of(entry: Entry, guid: &str, base: Option<&Url>) -> FeedItem {
    let content = entry.content.as_ref();
    let html = content
        .and_then(|content| content.body.as_deref())
        .filter(|body| !body.trim().is_empty());
    let summary = entry
        .summary
        .as_ref()
        .map(text_of)
        .filter(|text| !text.is_empty());
    let media_text = || {
        entry
            .media
            .iter()
            .find_map(|media| media.description.as_ref())
            .map(text_of)
    };
    let from_content = || html.map(|html| plain(html, MAX_SUMMARY_CHARS));
    // A permalink guid is the link of an item that has no other.
    let link = best_link(&entry.links, base).or_else(|| web_url(guid, None));
    FeedItem {
        title: entry.title.as_ref().map(line_of).unwrap_or_default(),
        link,
        summary: summary
            .or_else(from_content)
            .or_else(media_text)
            .unwrap_or_default(),
        content_html: html.map(|html| cap(html, MAX_CONTENT_CHARS)),
        author: entry
            .authors
            .iter()
            .find_map(|p| p.name.as_deref().or(p.email.as_deref()))
            .map(|n| line(n, MAX_SHORT_CHARS)),
        published_at: entry.published.map(|date| date.timestamp_micros()),
        updated_at: entry.updated.map(|date| date.timestamp_micros()),
        categories: categories(&entry),
        image_url: image(&entry, base),
        enclosures: enclosures(&entry, base),
        language: entry.language.clone(),
        ..FeedItem::default()
    }
}

fn categories(entry: &Entry) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for category in &entry.categories {
        let name = line(
            category.label.as_deref().unwrap_or(&category.term),
            MAX_SHORT_CHARS,
        );
        if !name.is_empty() && !found.contains(&name) && found.len() < super::MAX_PER_ITEM {
            found.push(name);
        }
    }
    found
}

fn is_html(text: &Text) -> bool {
    text.content_type.as_str().contains("html")
}

fn text_of(text: &Text) -> String {
    match is_html(text) || text.content.contains('<') || text.content.contains("&#") {
        true => plain(&text.content, MAX_SUMMARY_CHARS),
        false => plain(&text.content.replace('<', "&lt;"), MAX_SUMMARY_CHARS),
    }
}

fn line_of(text: &Text) -> String {
    line(&text.content, MAX_SHORT_CHARS)
}

fn best_link(links: &[Link], base: Option<&Url>) -> Option<String> {
    let alternate = |link: &&Link| link.rel.as_deref().is_none_or(|rel| rel == "alternate");
    let is_html = |link: &&Link| {
        link.media_type
            .as_deref()
            .is_none_or(|kind| kind.contains("html"))
    };
    let candidates = || links.iter().filter(alternate);
    candidates()
        .filter(is_html)
        .chain(candidates())
        .find_map(|link| web_url(&link.href, base))
}

fn image(entry: &Entry, base: Option<&Url>) -> Option<String> {
    let content = entry.media.iter().flat_map(|media| &media.content);
    let pictures = content.filter(|content| {
        content
            .content_type
            .as_ref()
            .is_some_and(|kind| is_image(kind.as_str()))
    });
    let pictures = pictures.filter_map(|content| content.url.as_ref().map(Url::as_str));
    let thumbnails = entry
        .media
        .iter()
        .flat_map(|media| &media.thumbnails)
        .map(|t| t.image.uri.as_str());
    pictures
        .chain(thumbnails)
        .find_map(|url| web_url(url, base))
}

fn is_image(mime: &str) -> bool {
    mime.starts_with("image/")
}

fn enclosures(entry: &Entry, base: Option<&Url>) -> Vec<Enclosure> {
    let media = entry
        .media
        .iter()
        .flat_map(|media| &media.content)
        .filter_map(|content| {
            let mime = content.content_type.as_ref().map(|kind| kind.to_string());
            Some((content.url.as_ref()?.to_string(), mime, content.size))
        });
    let links = entry
        .links
        .iter()
        .filter(|link| link.rel.as_deref() == Some("enclosure"));
    let links = links.map(|link| (link.href.clone(), link.media_type.clone(), link.length));
    let mut found = Vec::new();
    add_enclosures(&mut found, media.chain(links), base);
    found
}

type RawEnclosure = (String, Option<String>, Option<u64>);

fn add_enclosures(
    to: &mut Vec<Enclosure>,
    raw: impl Iterator<Item = RawEnclosure>,
    base: Option<&Url>,
) {
    for (url, mime, length) in raw {
        let Some(url) = web_url(&url, base) else {
            continue;
        };
        if to.len() < super::MAX_PER_ITEM && to.iter().all(|known| known.url != url) {
            let mime = mime
                .map(|mime| cap(&mime, 100))
                .filter(|mime| !mime.is_empty());
            to.push(Enclosure {
                url,
                mime,
                length: length.filter(|length| *length > 0),
            });
        }
    }
}

/// Adds what was read beside feed-rs, and settles on a picture.
fn add_extras(item: &mut FeedItem, extras: Extras, base: Option<&Url>) {
    add_enclosures(&mut item.enclosures, extras.enclosures.into_iter(), base);
    let enclosed = item
        .enclosures
        .iter()
        .find(|enclosure| enclosure.mime.as_deref().is_some_and(is_image));
    let enclosed = enclosed.map(|enclosure| enclosure.url.clone());
    let lone = extras.thumbnail.and_then(|url| web_url(&url, base));
    item.image_url = item.image_url.take().or(enclosed).or(lone);
}
