//! JSON Feed.
//!
//! Owns reading JSON Feed 1 and 1.1 with the slips publishers make: numbers for ids, strings for lists, missing
//! fields. Must not guess: JSON of another shape is an error that names its shape. Invariant: one bad field never
//! costs the item.

use serde_json::{Map, Value};
use url::Url;

use super::text::{cap, line, plain, web_url};
use super::{
    Enclosure, FeedError, FeedItem, MAX_CONTENT_CHARS, MAX_SHORT_CHARS, MAX_SUMMARY_CHARS,
    ParsedFeed,
};
use super::{finish, parse_date};

type Object = Map<String, Value>;

pub(super) fn parse(text: &str, base: Option<&Url>) -> Result<ParsedFeed, FeedError> {
    // serde_json stops at 128 levels by itself.
    let value: Value =
        serde_json::from_str(text.trim_end_matches(['\0', '\u{feff}'])).map_err(|e| {
            FeedError::Malformed {
                detail: format!("its JSON is wrong at line {}", e.line()),
            }
        })?;
    let Value::Object(feed) = value else {
        return Err(FeedError::NotAFeed {
            what: "JSON that is no object".to_owned(),
        });
    };
    let rows = rows_of(&feed)?;
    let language = string(&feed, "language");
    let author = author(&feed);
    let (mut items, mut guids) = (Vec::new(), Vec::new());
    for row in rows.iter().filter_map(Value::as_object) {
        let mut item = item_of(row, base);
        item.language = item.language.or_else(|| language.clone());
        item.author = item.author.or_else(|| author.clone());
        guids.push(string(row, "id"));
        items.push(item);
    }
    if items.is_empty() && !rows.is_empty() {
        return Err(FeedError::NotAFeed {
            what: "JSON whose items are no objects".to_owned(),
        });
    }
    let title = string(&feed, "title")
        .map(|title| line(&title, MAX_SHORT_CHARS))
        .unwrap_or_default();
    let site_url = string(&feed, "home_page_url").and_then(|url| web_url(&url, base));
    Ok(finish(
        ParsedFeed {
            title,
            site_url,
            items,
            warnings: Vec::new(),
        },
        guids,
    ))
}

/// The items of a document that is a feed.
fn rows_of(feed: &Object) -> Result<&[Value], FeedError> {
    let other_shape = || FeedError::NotAFeed {
        what: "JSON of another shape".to_owned(),
    };
    let version = string(feed, "version").unwrap_or_default();
    let named = version.contains("jsonfeed.org/version/1");
    let Some(Value::Array(rows)) = feed.get("items") else {
        return Err(match named {
            true => FeedError::NotAFeed {
                what: "a JSON Feed without items".to_owned(),
            },
            false => other_shape(),
        });
    };
    // Other documents have "items" too: without the version at least what they hold must look like items.
    let keys = ["id", "url", "content_html", "content_text"];
    let alike = rows
        .iter()
        .any(|row| keys.iter().any(|key| row.get(key).is_some()));
    if !named && (!version.is_empty() || !alike || !feed.contains_key("title")) {
        return Err(other_shape());
    }
    Ok(rows)
}

fn item_of(row: &Object, base: Option<&Url>) -> FeedItem {
    let html = string(row, "content_html");
    let text = string(row, "content_text");
    let summary = string(row, "summary").map(|summary| plain(&summary, MAX_SUMMARY_CHARS));
    let from_text = || text.as_deref().map(|text| cap(text, MAX_SUMMARY_CHARS));
    let from_html = || html.as_deref().map(|html| plain(html, MAX_SUMMARY_CHARS));
    let url = |key| string(row, key).and_then(|url| web_url(&url, base));
    let date = |key| string(row, key).and_then(|date| parse_date(&date));
    FeedItem {
        title: string(row, "title")
            .map(|title| line(&title, MAX_SHORT_CHARS))
            .unwrap_or_default(),
        link: url("url")
            .or_else(|| url("external_url"))
            .or_else(|| string(row, "id").and_then(|id| web_url(&id, None))),
        summary: summary
            .or_else(from_text)
            .or_else(from_html)
            .unwrap_or_default(),
        content_html: html.map(|html| cap(&html, MAX_CONTENT_CHARS)),
        author: author(row),
        published_at: date("date_published"),
        updated_at: date("date_modified"),
        categories: strings(row.get("tags")),
        image_url: url("image").or_else(|| url("banner_image")),
        enclosures: attachments(row, base),
        language: string(row, "language"),
        ..FeedItem::default()
    }
}

fn attachments(row: &Object, base: Option<&Url>) -> Vec<Enclosure> {
    let rows = row
        .get("attachments")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let read = |row: &Object| {
        Some(Enclosure {
            url: web_url(&string(row, "url")?, base)?,
            mime: string(row, "mime_type").map(|mime| cap(&mime, 100)),
            length: row
                .get("size_in_bytes")
                .and_then(|size| size.as_u64().or_else(|| size.as_f64().map(|n| n as u64))),
        })
    };
    rows.filter_map(Value::as_object)
        .filter_map(read)
        .take(super::MAX_PER_ITEM)
        .collect()
}

fn author(of: &Object) -> Option<String> {
    let name = |value: &Value| match value {
        Value::String(name) => Some(name.clone()),
        Value::Object(author) => string(author, "name"),
        _ => None,
    };
    let listed = of
        .get("authors")
        .and_then(Value::as_array)
        .and_then(|list| list.iter().find_map(name));
    listed
        .or_else(|| of.get("author").and_then(name))
        .map(|name| line(&name, MAX_SHORT_CHARS))
        .filter(|n| !n.is_empty())
}

fn strings(value: Option<&Value>) -> Vec<String> {
    let words: Vec<&str> = match value {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        Some(Value::String(text)) => text.split(',').collect(),
        _ => Vec::new(),
    };
    let words = words
        .into_iter()
        .map(|word| line(word, MAX_SHORT_CHARS))
        .filter(|word| !word.is_empty());
    words.take(super::MAX_PER_ITEM).collect()
}

/// A field as text: numbers are written out, since many publishers give numbers as ids.
fn string(of: &Object, key: &str) -> Option<String> {
    let text = match of.get(key)? {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return None,
    };
    Some(text).filter(|text| !text.is_empty())
}
