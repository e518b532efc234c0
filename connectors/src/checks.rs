//! Checks a post against a manifest.
//!
//! Owns what follows from the data of a manifest alone. Must not know a
//! network. Invariant: what passes here and is refused by the network is a
//! mistake in that network's manifest or own checks.

use std::collections::HashSet;

use serde_json::Value;
use so_model::{
    content::{Content, MediaUse, Poll},
    network::{ContentRule, Manifest, PollRule, TextRule, TextUnit},
    problem::FieldError,
    text::{measure, units},
};

use crate::context::MediaFacts;

/// Most parts of a thread: a page of posts, and less than any network's hourly limit.
pub const MAX_THREAD_PARTS: usize = 100;

/// What the network would refuse; pointers start at the content.
pub fn problems(manifest: &Manifest, content: &Content, media: &[MediaFacts]) -> Vec<FieldError> {
    let Some(rule) = manifest.rule(content.kind) else {
        let taken: Vec<String> = manifest
            .content
            .iter()
            .map(|rule| kind_name(rule.kind))
            .collect();
        return vec![
            FieldError::new(
                "/kind",
                format!("{} does not take this type", manifest.name),
            )
            .expected(format!("one of {}", taken.join(", "))),
        ];
    };
    let mut found = Vec::new();
    check_text(&mut found, "/text", &rule.text, &content.text);
    check_presence(&mut found, rule, content);
    check_media(&mut found, "/media", rule, &content.media, media);
    check_title(&mut found, rule, content);
    check_poll(&mut found, manifest, rule.poll, content.poll.as_ref());
    check_thread(&mut found, manifest, rule, content, media);
    check_first_comment(&mut found, manifest, rule, content);
    check_options(&mut found, manifest, content);
    found
}

fn kind_name(kind: so_model::content::ContentType) -> String {
    serde_json::to_value(kind)
        .ok()
        .and_then(|name| name.as_str().map(str::to_owned))
        .unwrap_or_default()
}

fn check_text(found: &mut Vec<FieldError>, pointer: &str, rule: &TextRule, text: &str) {
    let length = measure(rule, text);
    if length.used > rule.max {
        let unit = match rule.unit {
            TextUnit::Bytes => "bytes",
            _ => "characters",
        };
        found.push(
            FieldError::new(
                pointer,
                format!(
                    "is {} {unit} long, {} too many",
                    length.used,
                    length.used - rule.max
                ),
            )
            .expected(format!("at most {} {unit}", rule.max)),
        );
    } else if let Some(max) = length.bytes_max
        && length.bytes > max
    {
        found.push(
            FieldError::new(
                pointer,
                format!(
                    "is {} bytes long, {} too many",
                    length.bytes,
                    length.bytes - max
                ),
            )
            .expected(format!("at most {max} bytes")),
        );
    }
}

fn check_presence(found: &mut Vec<FieldError>, rule: &ContentRule, content: &Content) {
    let is_blank = content.text.trim().is_empty();
    let has_other = !content.media.is_empty() || content.link.is_some();
    if is_blank && (rule.text_required || !has_other) {
        found.push(FieldError::new("/text", "is empty").expected("a text"));
    }
}

fn check_title(found: &mut Vec<FieldError>, rule: &ContentRule, content: &Content) {
    match (&rule.title, &content.title) {
        (Some(limit), Some(title)) => check_text(found, "/title", limit, title),
        (None, Some(title)) if !title.is_empty() => {
            found.push(FieldError::new("/title", "this type takes no title").expected("no title"));
        }
        _ => {}
    }
}

fn check_media(
    found: &mut Vec<FieldError>,
    pointer: &str,
    rule: &ContentRule,
    uses: &[MediaUse],
    facts: &[MediaFacts],
) {
    let count = uses.len();
    if count < rule.media.min || count > rule.media.max {
        let expected = match (rule.media.min, rule.media.max) {
            (_, 0) => "no files".to_owned(),
            (min, max) if min == max => format!("{min}"),
            (min, max) => format!("{min} to {max} files"),
        };
        found.push(FieldError::new(pointer, format!("has {count} files")).expected(expected));
    }
    for (index, used) in uses.iter().enumerate() {
        check_alt(found, &format!("{pointer}/{index}/alt"), rule, &used.alt);
        match facts.iter().find(|facts| facts.id == used.id) {
            Some(facts) => check_file(found, &format!("{pointer}/{index}"), rule, facts),
            None => found.push(FieldError::new(
                format!("{pointer}/{index}/id"),
                "names a file that is not there",
            )),
        }
    }
}

fn check_alt(found: &mut Vec<FieldError>, pointer: &str, rule: &ContentRule, alt: &str) {
    if let Some(max) = rule.alt_max {
        let used = units(TextUnit::Graphemes, alt);
        if used > max {
            found.push(
                FieldError::new(
                    pointer,
                    format!("is {used} characters long, {} too many", used - max),
                )
                .expected(format!("at most {max} characters")),
            );
        }
    }
}

fn check_file(found: &mut Vec<FieldError>, pointer: &str, rule: &ContentRule, facts: &MediaFacts) {
    if !rule.mime_types.is_empty() && !rule.mime_types.contains(&facts.mime) {
        found.push(
            FieldError::new(pointer, format!("is of type {}", facts.mime))
                .expected(format!("one of {}", rule.mime_types.join(", "))),
        );
    }
    let limit = if facts.mime.starts_with("video/") {
        rule.video_bytes_max
    } else {
        rule.image_bytes_max
    };
    if let Some(max) = limit
        && facts.bytes > max
    {
        found.push(
            FieldError::new(pointer, format!("is {} bytes large", facts.bytes))
                .expected(format!("at most {max} bytes")),
        );
    }
}

fn check_poll(
    found: &mut Vec<FieldError>,
    manifest: &Manifest,
    rule: Option<PollRule>,
    poll: Option<&Poll>,
) {
    let (rule, poll) = match (rule, poll) {
        (Some(rule), Some(poll)) => (rule, poll),
        (None, Some(_)) => {
            found.push(FieldError::new(
                "/poll",
                format!("{} takes no poll with this type", manifest.name),
            ));
            return;
        }
        (Some(_), None) => {
            found.push(FieldError::new("/poll", "is missing").expected("a question with options"));
            return;
        }
        (None, None) => return,
    };
    let count = poll.options.len();
    if count < rule.options.min || count > rule.options.max {
        found.push(
            FieldError::new("/poll/options", format!("has {count} options"))
                .expected(format!("{} to {}", rule.options.min, rule.options.max)),
        );
    }
    // Beyond the most that are taken nothing is looked at: how many there are is told above.
    let mut seen = HashSet::new();
    for (index, option) in poll.options.iter().take(rule.options.max).enumerate() {
        let is_new = seen.insert(option.as_str());
        let used = units(TextUnit::Graphemes, option);
        let pointer = format!("/poll/options/{index}");
        if option.trim().is_empty() {
            found.push(FieldError::new(pointer, "is empty").expected("a text"));
        } else if used > rule.option_length_max {
            found.push(
                FieldError::new(pointer, format!("is {used} characters long"))
                    .expected(format!("at most {} characters", rule.option_length_max)),
            );
        } else if !is_new {
            found.push(FieldError::new(pointer, "is there twice").expected("options that differ"));
        }
    }
    if poll.expires_in_s < rule.expires_min_s || poll.expires_in_s > rule.expires_max_s {
        found.push(
            FieldError::new(
                "/poll/expires_in_s",
                format!("is {} seconds", poll.expires_in_s),
            )
            .expected(format!(
                "{} to {} seconds",
                rule.expires_min_s, rule.expires_max_s
            )),
        );
    }
}

fn check_thread(
    found: &mut Vec<FieldError>,
    manifest: &Manifest,
    rule: &ContentRule,
    content: &Content,
    media: &[MediaFacts],
) {
    if content.thread.is_empty() {
        return;
    }
    if !manifest.threads {
        found.push(
            FieldError::new("/thread", format!("{} has no threads", manifest.name))
                .expected("one part"),
        );
        return;
    }
    if content.thread.len() > MAX_THREAD_PARTS {
        found.push(
            FieldError::new("/thread", format!("has {} parts", content.thread.len()))
                .expected(format!("at most {MAX_THREAD_PARTS} parts")),
        );
    }
    // A further part needs no file even where the first one does.
    let mut part_rule = rule.clone();
    part_rule.media.min = 0;
    for (index, part) in content.thread.iter().enumerate() {
        let pointer = format!("/thread/{index}");
        check_text(found, &format!("{pointer}/text"), &rule.text, &part.text);
        if part.text.trim().is_empty() && part.media.is_empty() {
            found.push(FieldError::new(format!("{pointer}/text"), "is empty").expected("a text"));
        }
        check_media(
            found,
            &format!("{pointer}/media"),
            &part_rule,
            &part.media,
            media,
        );
    }
}

fn check_first_comment(
    found: &mut Vec<FieldError>,
    manifest: &Manifest,
    rule: &ContentRule,
    content: &Content,
) {
    let Some(comment) = &content.first_comment else {
        return;
    };
    if !manifest.first_comment {
        found.push(FieldError::new(
            "/first_comment",
            format!("{} takes no first comment", manifest.name),
        ));
    } else if comment.trim().is_empty() {
        found.push(FieldError::new("/first_comment", "is empty").expected("a text, or none"));
    } else {
        check_text(found, "/first_comment", &rule.text, comment);
    }
}

// The part of JSON Schema that manifests use: an object of typed members, some required, some from a list.
fn check_options(found: &mut Vec<FieldError>, manifest: &Manifest, content: &Content) {
    let schema = &manifest.options_schema;
    let none = serde_json::Map::new();
    let known = schema
        .get("properties")
        .and_then(Value::as_object)
        .unwrap_or(&none);
    for (key, value) in &content.options {
        let pointer = format!("/options/{key}");
        let Some(member) = known.get(key) else {
            found.push(
                FieldError::new(pointer, format!("{} has no such option", manifest.name))
                    .expected(known.keys().cloned().collect::<Vec<_>>().join(", ")),
            );
            continue;
        };
        if let Some(kind) = member.get("type").and_then(Value::as_str)
            && !is_of_type(value, kind)
        {
            found.push(FieldError::new(pointer, "has the wrong type").expected(kind));
        } else if let Some(choices) = member.get("enum").and_then(Value::as_array)
            && !choices.contains(value)
        {
            let names: Vec<String> = choices.iter().map(Value::to_string).collect();
            found.push(
                FieldError::new(pointer, "is none of the choices").expected(names.join(", ")),
            );
        }
    }
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        if !content.options.contains_key(name) {
            found.push(FieldError::new(format!("/options/{name}"), "is missing"));
        }
    }
}

fn is_of_type(value: &Value, kind: &str) -> bool {
    match kind {
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
