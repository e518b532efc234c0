//! Items as rules see them.

use serde_json::{Value, json};
use so_model::Timestamp;
use so_store::feeds::Feed;
use so_triggers::feed::FeedItem;

/// `event.data.item`.
pub fn shown(item: &FeedItem) -> Value {
    json!({
        "key": item.key, "title": item.title, "link": item.link, "summary": item.summary,
        "content_html": item.content_html, "author": item.author,
        "published_at": item.published_at.map(Timestamp::from_micros),
        "updated_at": item.updated_at.map(Timestamp::from_micros),
        "categories": item.categories, "image_url": item.image_url, "enclosures": item.enclosures,
        "language": item.language
    })
}

/// `event.data` of an item.
pub(super) fn item_data(feed: &Feed, item: &FeedItem) -> Value {
    json!({"feed": reference(feed), "item": shown(item)})
}

/// `event.data` of a feed that cannot be read.
pub(super) fn failed_data(feed: &Feed, problem: &str, failures: i64) -> Value {
    json!({"feed": reference(feed), "problem": problem, "failures": failures})
}

fn reference(feed: &Feed) -> Value {
    json!({"id": feed.id, "title": feed.title, "url": feed.url})
}
