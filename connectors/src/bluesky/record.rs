//! The record of a post.
//!
//! Owns its making from content and uploads. Must not call anything.
//! Invariant: the same input gives the same record, byte for byte.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use so_model::content::{Content, LinkCard};
use so_net::Url;

use super::facets::facets;
use crate::{MediaFacts, PublishCx};

/// Where a post is kept in its account's repository.
pub(super) const COLLECTION: &str = "app.bsky.feed.post";

/// What the record is made of beside the content.
pub(super) struct Parts<'a> {
    pub created_at: &'a str,
    pub dids: &'a BTreeMap<String, String>,
    pub blobs: &'a [Value],
    pub thumb: Option<&'a Value>,
    /// `{"root":…,"parent":…}` of an answer.
    pub reply: Option<&'a Value>,
}

/// The text that is sent: a card has no room beside files, so its link goes into the text then.
pub(super) fn post_text(content: &Content) -> String {
    match &content.link {
        Some(link) if !content.media.is_empty() && !content.text.contains(&link.url) => {
            if content.text.is_empty() {
                link.url.clone()
            } else {
                format!("{}\n\n{}", content.text, link.url)
            }
        }
        _ => content.text.clone(),
    }
}

/// The record.
pub(super) fn record(cx: &PublishCx<'_>, parts: &Parts<'_>) -> Value {
    let content = cx.content;
    let text = post_text(content);
    let mut record = Map::new();
    record.insert("$type".into(), COLLECTION.into());
    record.insert("createdAt".into(), parts.created_at.into());
    let facets = facets(&text, parts.dids);
    record.insert("text".into(), text.into());
    if !facets.is_empty() {
        record.insert("facets".into(), facets.into());
    }
    if let Some(language) = &content.language {
        record.insert("langs".into(), json!([language]));
    }
    if let Some(reply) = parts.reply {
        record.insert("reply".into(), reply.clone());
    }
    if let Some(embed) = embed(cx, parts) {
        record.insert("embed".into(), embed);
    }
    if let Some(labels) = content
        .options
        .get("labels")
        .and_then(Value::as_array)
        .filter(|labels| !labels.is_empty())
    {
        let values: Vec<Value> = labels.iter().map(|label| json!({ "val": label })).collect();
        record.insert(
            "labels".into(),
            json!({ "$type": "com.atproto.label.defs#selfLabels", "values": values }),
        );
    }
    Value::Object(record)
}

fn embed(cx: &PublishCx<'_>, parts: &Parts<'_>) -> Option<Value> {
    let uses = &cx.content.media;
    if uses.is_empty() {
        return cx.content.link.as_ref().map(|link| card(link, parts.thumb));
    }
    let facts = |n: usize| cx.media_file(uses[n].id).map(|file| &file.facts);
    if facts(0).is_some_and(|facts| facts.mime.starts_with("video/")) {
        let mut video = Map::new();
        video.insert("$type".into(), "app.bsky.embed.video".into());
        video.insert("video".into(), parts.blobs.first()?.clone());
        if !uses[0].alt.is_empty() {
            video.insert("alt".into(), uses[0].alt.clone().into());
        }
        insert_ratio(&mut video, facts(0));
        return Some(Value::Object(video));
    }
    let images: Vec<Value> = uses
        .iter()
        .zip(parts.blobs)
        .enumerate()
        .map(|(n, (used, blob))| {
            let mut image = Map::new();
            image.insert("image".into(), blob.clone());
            image.insert("alt".into(), used.alt.clone().into());
            insert_ratio(&mut image, facts(n));
            Value::Object(image)
        })
        .collect();
    Some(json!({ "$type": "app.bsky.embed.images", "images": images }))
}

fn insert_ratio(into: &mut Map<String, Value>, facts: Option<&MediaFacts>) {
    if let Some((Some(width), Some(height))) = facts.map(|facts| (facts.width, facts.height))
        && width > 0
        && height > 0
    {
        into.insert(
            "aspectRatio".into(),
            json!({ "width": width, "height": height }),
        );
    }
}

fn card(link: &LinkCard, thumb: Option<&Value>) -> Value {
    let host = || {
        Url::parse(&link.url)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
    };
    let title = link
        .title
        .clone()
        .filter(|title| !title.is_empty())
        .or_else(host)
        .unwrap_or_else(|| link.url.clone());
    let mut external = Map::new();
    external.insert("uri".into(), link.url.clone().into());
    external.insert("title".into(), title.into());
    external.insert(
        "description".into(),
        link.description.clone().unwrap_or_default().into(),
    );
    if let Some(thumb) = thumb {
        external.insert("thumb".into(), thumb.clone());
    }
    json!({ "$type": "app.bsky.embed.external", "external": external })
}
