//! `feed.item` and its kin: what the poller found in a feed.
//!
//! Parsing and fetching lie in `feed`; the poller that stores events is the server's.

use std::sync::Arc;

use serde_json::{Value, json};
use so_engine::{plugin::TriggerKind, rule::catalogue::TriggerSpec};
use so_model::event::kind;

use crate::spec::{Listener, object, plain, same};

/// The kinds.
pub fn kinds() -> Vec<Arc<dyn TriggerKind>> {
    let item = sample_item();
    let failed = json!({"feed": {"id": "feed_01890a5dac96774bbcceb302099a8057", "title": "Company blog",
        "url": "https://example.com/feed.xml"}, "problem": "the server answered 404", "failures": 5});
    vec![
        listener(
            kind::FEED_ITEM,
            "Feed item",
            "Starts for each new item of a feed, once.",
            item.clone(),
        ),
        listener(
            kind::FEED_ITEM_EDITED,
            "Feed item edited",
            "Starts when a known item's content changes.",
            item,
        ),
        listener(
            kind::FEED_FAILED,
            "Feed failed",
            "Starts when a feed cannot be read several times in a row.",
            failed,
        ),
    ]
}

fn listener(name: &str, title: &str, description: &str, sample: Value) -> Arc<dyn TriggerKind> {
    Arc::new(Listener(TriggerSpec {
        params_schema: object(
            json!({"feed": {"type": "string", "description": "Feed id; any if absent", "x-refers-to": "feed:id"}}),
            &[],
        ),
        discriminators: vec![same("feed", "data.feed.id")],
        ..plain(name, title, description, sample)
    }))
}

fn sample_item() -> Value {
    json!({
        "feed": {"id": "feed_01890a5dac96774bbcceb302099a8057", "title": "Company blog",
                 "url": "https://example.com/feed.xml"},
        "item": {"key": "guid:launch-1", "title": "Our spring launch", "link": "https://example.com/launch",
                 "summary": "It is here.", "content_html": "<p>It is here.</p>", "author": "Ann",
                 "published_at": "2026-11-24T08:00:00Z", "updated_at": "2026-11-24T08:00:00Z",
                 "categories": ["launch"], "image_url": "https://example.com/launch.jpg",
                 "enclosures": [], "language": "en"}
    })
}
