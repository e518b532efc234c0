//! Which items are new.
//!
//! Owns identity and change of items. Must not store anything. Invariant: the same document compared with what it
//! left behind is never new.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{FeedItem, ParsedFeed};

/// Longest guid or link kept as it is in a key; longer ones are hashed.
const MAX_KEY_BYTES: usize = 512;
/// Characters of a hash kept: 128 bits.
const HASH_CHARS: usize = 32;

/// What changed between two polls.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FeedDiff {
    /// Oldest first: the order in which they are to be handled.
    pub new: Vec<FeedItem>,
    /// Known keys with other content.
    pub edited: Vec<FeedItem>,
    pub unchanged: usize,
}

/// Compares a feed with the content hashes known by key.
pub fn diff_items(known: &BTreeMap<String, String>, parsed: ParsedFeed) -> FeedDiff {
    let mut diff = FeedDiff::default();
    for item in parsed.items {
        match known.get(&item.key) {
            None => diff.new.push(item),
            Some(hash) if *hash == item.content_hash => diff.unchanged += 1,
            Some(_) => diff.edited.push(item),
        }
    }
    // Feeds list newest first, which is all that is known of items without a date.
    diff.new.reverse();
    let date = |item: &FeedItem| item.published_at.or(item.updated_at);
    if diff.new.iter().all(|item| date(item).is_some()) {
        diff.new.sort_by_key(date);
    }
    diff
}

/// The identity of an item: its guid, else its link, else its title and date. The prefix keeps them apart.
pub(super) fn key_of(guid: Option<&str>, item: &FeedItem) -> String {
    match (guid, item.link.as_deref()) {
        (Some(guid), _) => key("guid", guid),
        (None, Some(link)) => key("link", link),
        (None, None) => {
            let date = item
                .published_at
                .map(|date| date.to_string())
                .unwrap_or_default();
            // An item without title and date is told apart by its text.
            let text = if item.title.is_empty() {
                item.summary.as_str()
            } else {
                ""
            };
            format!("hash:{}", hash(&[&item.title, &date, text]))
        }
    }
}

fn key(kind: &str, value: &str) -> String {
    match value.len() > MAX_KEY_BYTES {
        true => format!("{kind}-hash:{}", hash(&[value])),
        false => format!("{kind}:{value}"),
    }
}

pub(super) fn content_hash(item: &FeedItem) -> String {
    let link = item.link.as_deref().unwrap_or_default();
    hash(&[
        &item.title,
        link,
        &item.summary,
        item.content_html.as_deref().unwrap_or_default(),
    ])
}

fn hash(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        // The length in front keeps ("ab", "c") and ("a", "bc") apart.
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part.as_bytes());
    }
    let mut hex: String = hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    hex.truncate(HASH_CHARS);
    hex
}
