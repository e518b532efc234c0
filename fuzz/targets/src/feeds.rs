//! Feeds and lists of feeds.
//!
//! Owns the promises of `feed`: keys are distinct, links lead to the web, and reading the same
//! document twice brings nothing new. Input of a feed: a content type, a line break, the document.

use std::collections::{BTreeMap, BTreeSet};

use so_triggers::feed::{MAX_FEED_ITEMS, MAX_OPML_FEEDS, diff_items, parse_feed, parse_opml};

const BASE: &str = "https://blog.example/feeds/all.xml";

pub(crate) fn feed(data: &[u8]) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(0);
    let content_type = std::str::from_utf8(&data[..end])
        .ok()
        .filter(|text| !text.is_empty());
    let Ok(feed) = parse_feed(&data[end..], content_type, BASE) else {
        return;
    };
    assert!(feed.items.len() <= MAX_FEED_ITEMS);
    let keys: BTreeSet<&str> = feed.items.iter().map(|item| item.key.as_str()).collect();
    assert_eq!(keys.len(), feed.items.len(), "one key, several items");
    for item in &feed.items {
        for link in item.link.iter().chain(&item.image_url) {
            assert!(
                link.starts_with("http://") || link.starts_with("https://"),
                "{link}"
            );
        }
    }
    let again = parse_feed(&data[end..], content_type, BASE).unwrap();
    let known: BTreeMap<String, String> = (feed.items.iter())
        .map(|item| (item.key.clone(), item.content_hash.clone()))
        .collect();
    let diff = diff_items(&known, again);
    assert!(
        diff.new.is_empty() && diff.edited.is_empty(),
        "a second reading brings news"
    );
}

pub(crate) fn opml(data: &[u8]) {
    let Ok(list) = parse_opml(data) else {
        return;
    };
    assert!(list.feeds.len() <= MAX_OPML_FEEDS);
    for feed in &list.feeds {
        assert!(
            feed.url.starts_with("http://") || feed.url.starts_with("https://"),
            "{}",
            feed.url
        );
    }
}
