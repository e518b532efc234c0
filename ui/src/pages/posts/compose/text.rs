//! What the form's parts come to as content, and how it fits a network.
//!
//! Pure. Invariant: what a post had and the form does not show (a poll, options of a network) is kept as it was.

use so_model::content::{Content, ContentType, MediaUse, ThreadPart};
use so_model::network::Manifest;
use so_model::text::{TextLength, measure};

/// The parts of the form that everybody's content is made of.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parts {
    /// The text.
    pub text: String,
    /// Pictures in order.
    pub media: Vec<MediaUse>,
    /// Further parts of a thread.
    pub thread: Vec<String>,
    /// Comment under the post.
    pub first_comment: String,
    /// Warning before the content.
    pub content_warning: String,
}

/// `before` with what the form shows replaced.
pub fn content(before: &Content, parts: &Parts) -> Content {
    let thread = parts
        .thread
        .iter()
        .enumerate()
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(place, text)| ThreadPart {
            text: text.clone(),
            media: before
                .thread
                .get(place)
                .map(|part| part.media.clone())
                .unwrap_or_default(),
        });
    Content {
        kind: kind(before, parts.media.len()),
        text: parts.text.clone(),
        media: parts.media.clone(),
        thread: thread.collect(),
        first_comment: given(&parts.first_comment),
        content_warning: given(&parts.content_warning),
        ..before.clone()
    }
}

fn given(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// Pictures make a photo post, and taking them away makes it a plain one; other types stay.
fn kind(before: &Content, pictures: usize) -> ContentType {
    match (before.kind, pictures) {
        (ContentType::Status | ContentType::Photo, 0) => ContentType::Status,
        (ContentType::Status | ContentType::Link, _) if pictures > 0 => ContentType::Photo,
        (kind, _) => kind,
    }
}

/// The content of one account: everybody's, with its own text. What it had of its own beside the text is kept.
pub fn own_content(shared: &Content, before: Option<&Content>, text: &str) -> Content {
    Content {
        text: text.to_owned(),
        ..before.unwrap_or(shared).clone()
    }
}

/// How a content fits a network, as far as its manifest tells.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The length of the text, or none if the network does not take the type.
    pub length: Option<TextLength>,
    /// What would be refused, in sentences.
    pub problems: Vec<String>,
}

/// Judges at once what the server judges again before anything is sent.
pub fn fit(manifest: &Manifest, content: &Content) -> Fit {
    let Some(rule) = manifest.rule(content.kind) else {
        let kind = kind_words(content.kind);
        return Fit {
            length: None,
            problems: vec![format!("{} takes no {kind}.", manifest.name)],
        };
    };
    let length = measure(&rule.text, &content.text);
    let mut problems = Vec::new();
    if !length.fits() {
        problems.push(format!("{} too long.", over(&length)));
    }
    let pictures = content.media.len();
    if pictures > rule.media.max {
        problems.push(format!(
            "At most {} files; there are {pictures}.",
            rule.media.max
        ));
    }
    if pictures < rule.media.min {
        problems.push(format!("At least {} files are needed.", rule.media.min));
    }
    if rule.text_required && content.text.trim().is_empty() {
        problems.push("A text is needed.".into());
    }
    if !content.thread.is_empty() && !manifest.threads {
        problems.push(format!("{} takes no threads.", manifest.name));
    }
    for (place, part) in content.thread.iter().enumerate() {
        let length = measure(&rule.text, &part.text);
        if !length.fits() {
            problems.push(format!("Part {} is {} too long.", place + 2, over(&length)));
        }
    }
    if content.first_comment.is_some() && !manifest.first_comment {
        problems.push(format!("{} takes no first comment.", manifest.name));
    }
    Fit {
        length: Some(length),
        problems,
    }
}

fn over(length: &TextLength) -> String {
    match length.used.checked_sub(length.max) {
        Some(over) if over > 0 => format!("{over} characters"),
        _ => format!(
            "{} bytes",
            length.bytes.saturating_sub(length.bytes_max.unwrap_or(0))
        ),
    }
}

/// What is left: "480 left", "20 too many".
pub fn left(length: &TextLength) -> String {
    let bytes_left = length.bytes_max.map(|max| (max, length.bytes));
    match bytes_left {
        Some((max, used)) if used > max => format!("{} bytes too many", used - max),
        _ if length.used > length.max => format!("{} too many", length.used - length.max),
        _ => format!("{} left", length.max - length.used),
    }
}

fn kind_words(kind: ContentType) -> &'static str {
    match kind {
        ContentType::Status => "plain text",
        ContentType::Link => "link cards",
        ContentType::Photo => "pictures",
        ContentType::Video => "videos",
        ContentType::Reel => "reels",
        ContentType::Story => "stories",
        ContentType::Short => "shorts",
        ContentType::Poll => "polls",
        ContentType::Document => "documents",
        ContentType::Carousel => "carousels",
        ContentType::Article => "articles",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use so_model::id::Id;

    use super::*;

    fn manifest() -> Manifest {
        serde_json::from_value(json!({
            "key": "short", "name": "Short", "sign_in": {"kind": "instant", "fields": []},
            "content": [
                {"kind": "status", "text": {"unit": "graphemes", "max": 10, "url_length": 5}},
                {"kind": "photo", "text": {"unit": "graphemes", "max": 10}, "media": {"min": 1, "max": 2}}
            ],
            "threads": false, "first_comment": true, "reconciliation": "listing", "settle_s": 5, "can_delete": true, "metrics": []
        }))
        .unwrap()
    }

    fn picture(name: &str) -> MediaUse {
        MediaUse {
            id: Id::derived(&[name]),
            alt: String::new(),
        }
    }

    #[test]
    fn the_form_replaces_only_what_it_shows() {
        let before = Content {
            language: Some("de".into()),
            text: "old".into(),
            ..Content::default()
        };
        let parts = Parts {
            text: "new".into(),
            thread: vec!["second".into(), "  ".into()],
            media: vec![picture("a")],
            ..Parts::default()
        };
        let after = content(&before, &parts);
        assert_eq!(after.language.as_deref(), Some("de"));
        assert_eq!((after.kind, after.thread.len()), (ContentType::Photo, 1));
        let back = content(&after, &Parts::default());
        assert_eq!((back.kind, back.first_comment), (ContentType::Status, None));
    }

    #[test]
    fn an_accounts_own_text_keeps_what_else_it_had_of_its_own() {
        let shared = Content::status("shared");
        let before = Content {
            title: Some("own title".into()),
            ..Content::status("own")
        };
        assert_eq!(
            own_content(&shared, Some(&before), "x").title.as_deref(),
            Some("own title")
        );
        assert_eq!(own_content(&shared, None, "x"), Content::status("x"));
    }

    #[test]
    fn lengths_are_counted_as_the_network_counts_them() {
        let fits = fit(
            &manifest(),
            &Content::status("ab https://example.org/long/way"),
        );
        assert_eq!(fits.problems, Vec::<String>::new());
        assert_eq!(left(&fits.length.unwrap()), "2 left");
        let long = fit(&manifest(), &Content::status("abcdefghijklm"));
        assert_eq!(left(&long.length.unwrap()), "3 too many");
        assert_eq!(long.problems, ["3 characters too long."]);
    }

    #[test]
    fn what_a_network_does_not_take_is_told() {
        let poll = Content {
            kind: ContentType::Poll,
            ..Content::default()
        };
        assert_eq!(fit(&manifest(), &poll).problems, ["Short takes no polls."]);
        let parts = Parts {
            media: vec![picture("a"), picture("b"), picture("c")],
            thread: vec!["more".into()],
            ..Parts::default()
        };
        let problems = fit(&manifest(), &content(&Content::default(), &parts)).problems;
        assert_eq!(
            problems,
            ["At most 2 files; there are 3.", "Short takes no threads."]
        );
    }
}
