//! What goes over the wire.
//!
//! Owns bodies and the reading of answers. Must not send anything. Invariant:
//! unknown members of an answer are ignored, missing ones are nothing.

use serde_json::{Map, Value, json};
use so_model::{Timestamp, content::Content};
use so_net::{OutboundResponse, Url};

use super::html;
use crate::{CommitOutcome, PublishCx, call::text_of, error::Said};

/// Reads Mastodon's error body.
pub(super) fn said(body: &Value) -> Said {
    let error = text_of(body, "error").unwrap_or_default();
    let message = match text_of(body, "error_description") {
        Some(description) => format!("{error}: {description}"),
        None => error.clone(),
    };
    Said { error, message }
}

/// The text that is sent: a link that the text does not name is added, as the card is made from the text.
pub(super) fn status_text(content: &Content) -> String {
    match &content.link {
        Some(link) if !content.text.contains(&link.url) => {
            if content.text.is_empty() {
                link.url.clone()
            } else {
                format!("{}\n\n{}", content.text, link.url)
            }
        }
        _ => content.text.clone(),
    }
}

/// The body of the call that publishes.
pub(super) fn status_body(cx: &PublishCx<'_>, media_ids: &[String]) -> Value {
    let content = cx.content;
    let mut body = Map::new();
    body.insert("status".into(), status_text(content).into());
    if !media_ids.is_empty() {
        body.insert("media_ids".into(), json!(media_ids));
    }
    if let Some(poll) = &content.poll {
        body.insert(
            "poll".into(),
            json!({
                "options": poll.options,
                "expires_in": poll.expires_in_s,
                "multiple": poll.multiple,
                "hide_totals": poll.hide_totals,
            }),
        );
    }
    if let Some(parent) = cx.parent {
        body.insert("in_reply_to_id".into(), parent.remote_id.clone().into());
    }
    if let Some(warning) = content
        .content_warning
        .as_ref()
        .filter(|warning| !warning.is_empty())
    {
        body.insert("spoiler_text".into(), warning.clone().into());
    }
    if content.options.get("sensitive") == Some(&Value::Bool(true)) {
        body.insert("sensitive".into(), true.into());
    }
    if let Some(language) = &content.language {
        // The API takes the language without region.
        body.insert(
            "language".into(),
            language.split('-').next().unwrap_or(language).into(),
        );
    }
    if let Some(visibility) = visibility(cx) {
        body.insert("visibility".into(), visibility.into());
    }
    Value::Object(body)
}

// Parts of a thread are seen by whom the first part is seen.
fn visibility(cx: &PublishCx<'_>) -> Option<String> {
    let chosen = cx.content.visibility.clone();
    let inherited = cx
        .parent
        .and_then(|parent| text_of(&parent.extra, "visibility"));
    match chosen.or(inherited)?.as_str() {
        "followers" => Some("private".into()),
        other => Some(other.into()),
    }
}

/// A status as listed.
pub(super) struct Status {
    pub id: String,
    pub url: Option<String>,
    pub text: String,
    pub media: usize,
    pub reply_to: Option<String>,
    pub created_at: Option<Timestamp>,
    pub extra: Value,
}

/// Reads a status; none if it has no id.
pub(super) fn read_status(value: &Value) -> Option<Status> {
    let id = text_of(value, "id").filter(|id| !id.is_empty())?;
    // Without these it is something else with an id, such as a scheduled status.
    value.get("content")?;
    Some(Status {
        url: page_of(value, "url").or_else(|| page_of(value, "uri")),
        text: html::comparable(&html::to_text(
            &text_of(value, "content").unwrap_or_default(),
        )),
        media: value
            .get("media_attachments")
            .and_then(Value::as_array)
            .map_or(0, Vec::len),
        reply_to: text_of(value, "in_reply_to_id"),
        created_at: text_of(value, "created_at").and_then(|at| Timestamp::parse(&at)),
        extra: json!({ "visibility": text_of(value, "visibility") }),
        id,
    })
}

// People follow it, and an instance is not trusted with where to: `javascript:` and the like are dropped.
fn page_of(value: &Value, key: &str) -> Option<String> {
    let url = Url::parse(&text_of(value, key)?).ok()?;
    matches!(url.scheme(), "http" | "https").then(|| url.into())
}

/// The answer of the call that publishes.
pub(super) fn published(answer: &OutboundResponse) -> Option<CommitOutcome> {
    let status = read_status(&answer.json().ok()?)?;
    Some(CommitOutcome::Published {
        remote_id: status.id,
        remote_url: status.url,
        extra: status.extra,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_no_page_of_the_web_is_dropped() {
        let url = |url: &str, uri: &str| {
            let status = json!({"id": "1", "content": "", "url": url, "uri": uri});
            read_status(&status).unwrap().url
        };
        let good = "https://m.example/@ann/1";
        assert_eq!(url(good, "").as_deref(), Some(good));
        assert_eq!(url("javascript:alert(1)", good).as_deref(), Some(good));
        assert_eq!(url("javascript:alert(1)", "data:text/html,x"), None);
    }

    #[test]
    fn a_page_is_kept_as_browsers_read_it() {
        let status = json!({"id": "1", "content": "", "url": " httPs://M.example/@ann/1\n"});
        let page = read_status(&status).unwrap().url;
        assert_eq!(page.as_deref(), Some("https://m.example/@ann/1"));
    }
}
