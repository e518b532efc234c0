//! Links, tags and mentions of a text.
//!
//! Owns finding them. Must not ask who is mentioned. Invariant: ranges are
//! bytes of the UTF-8 text, lie on characters and do not overlap.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use so_model::text::next_url;
use unicode_segmentation::UnicodeSegmentation;

/// Longest tag, in graphemes and in bytes.
const TAG_GRAPHEMES: usize = 64;
const TAG_BYTES: usize = 640;
/// Longest handle: that of a domain name.
const HANDLE_MAX: usize = 253;
/// Mentions resolved for one post; each costs a call, and no text of 300 characters needs more.
const MAX_MENTIONS: usize = 20;

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind<'t> {
    Link(&'t str),
    Tag(&'t str),
    Mention(&'t str),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Span<'t> {
    start: usize,
    end: usize,
    kind: Kind<'t>,
}

/// Handles that the text mentions, each once.
pub(super) fn mentioned(text: &str) -> Vec<String> {
    let mut handles = Vec::new();
    for span in spans(text) {
        if let Kind::Mention(handle) = span.kind {
            let handle = handle.to_ascii_lowercase();
            if !handles.contains(&handle) && handles.len() < MAX_MENTIONS {
                handles.push(handle);
            }
        }
    }
    handles
}

/// The facets; a mention whose handle is not in `dids` stays plain text.
pub(super) fn facets(text: &str, dids: &BTreeMap<String, String>) -> Vec<Value> {
    spans(text)
        .into_iter()
        .filter_map(|span| {
            let feature = match span.kind {
                Kind::Link(uri) => json!({ "$type": "app.bsky.richtext.facet#link", "uri": uri }),
                Kind::Tag(tag) => json!({ "$type": "app.bsky.richtext.facet#tag", "tag": tag }),
                Kind::Mention(handle) => {
                    let did = dids.get(&handle.to_ascii_lowercase())?;
                    json!({ "$type": "app.bsky.richtext.facet#mention", "did": did })
                }
            };
            Some(json!({ "index": { "byteStart": span.start, "byteEnd": span.end }, "features": [feature] }))
        })
        .collect()
}

fn spans(text: &str) -> Vec<Span<'_>> {
    let mut found = Vec::new();
    let mut from = 0;
    while from < text.len() {
        let link = next_url(&text[from..]).map(|(start, end)| (from + start, from + end));
        let until = link.map_or(text.len(), |(start, _)| start);
        marks(text, from, until, &mut found);
        let Some((start, end)) = link else { break };
        found.push(Span {
            start,
            end,
            kind: Kind::Link(&text[start..end]),
        });
        from = end;
    }
    found
}

// Tags and mentions between two links.
fn marks<'t>(text: &'t str, from: usize, until: usize, found: &mut Vec<Span<'t>>) {
    let mut at = from;
    while let Some(mark) = text[at..until].find(['#', '@', '＃']) {
        let start = at + mark;
        let sign = text[start..].chars().next().map_or(1, char::len_utf8);
        let before = text[..start].chars().next_back();
        let is_mention = text[start..].starts_with('@');
        let begins =
            before.is_none_or(|c| c.is_whitespace() || is_mention && matches!(c, '(' | '[' | '"'));
        let after = &text[start + sign..until];
        let span = match (begins, is_mention) {
            (false, _) => None,
            (true, true) => handle_in(after).map(|handle| (handle.len(), Kind::Mention(handle))),
            (true, false) => tag_in(after).map(|tag| (tag.len(), Kind::Tag(tag))),
        };
        at = start + sign;
        if let Some((length, kind)) = span {
            at += length;
            found.push(Span {
                start,
                end: at,
                kind,
            });
        }
    }
}

/// What ends a tag besides white space: marks that nobody sees.
const UNSEEN: [char; 7] = [
    '\u{ad}', '\u{2060}', '\u{200a}', '\u{200b}', '\u{200c}', '\u{200d}', '\u{20e2}',
];

// As the official client finds them: all up to white space, punctuation at the end left out, and
// something in it that is neither a digit nor punctuation.
fn tag_in(after: &str) -> Option<&str> {
    // A number sign followed by this is the emoji of a keycap.
    if after.starts_with('\u{fe0f}') {
        return None;
    }
    let end = after
        .find(|c: char| c.is_whitespace() || UNSEEN.contains(&c))
        .unwrap_or(after.len());
    let tag = after[..end].trim_end_matches(is_punctuation);
    let fits = tag.len() <= TAG_BYTES && tag.graphemes(true).count() <= TAG_GRAPHEMES;
    let is_word = tag
        .chars()
        .any(|c| !c.is_ascii_digit() && !is_punctuation(c));
    (fits && is_word).then_some(tag)
}

/// General category P.
fn is_punctuation(c: char) -> bool {
    static PATTERN: std::sync::OnceLock<regex::Regex> = std::sync::OnceLock::new();
    if c.is_ascii() {
        return c.is_ascii_punctuation()
            && !matches!(c, '$' | '+' | '<' | '=' | '>' | '^' | '`' | '|' | '~');
    }
    let pattern =
        PATTERN.get_or_init(|| regex::Regex::new(r"^\p{P}$").expect("the pattern is a constant"));
    pattern.is_match(c.encode_utf8(&mut [0; 4]))
}

fn handle_in(after: &str) -> Option<&str> {
    let end = after
        .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-')))
        .unwrap_or(after.len());
    let handle = after[..end].trim_end_matches(['.', '-']);
    let labels: Vec<&str> = handle.split('.').collect();
    let is_label =
        |label: &&str| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-');
    let top_is_word = labels
        .last()
        .is_some_and(|top| top.starts_with(|c: char| c.is_ascii_alphabetic()));
    (labels.len() > 1 && labels.iter().all(is_label) && top_is_word && handle.len() <= HANDLE_MAX)
        .then_some(handle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(text: &str) -> Vec<(&str, String)> {
        let dids = BTreeMap::from([("ann.example.org".to_owned(), "did:plc:ann".to_owned())]);
        facets(text, &dids)
            .iter()
            .map(|facet| {
                let at = |key: &str| facet["index"][key].as_u64().unwrap() as usize;
                let kind = facet["features"][0]["$type"]
                    .as_str()
                    .unwrap()
                    .rsplit('#')
                    .next()
                    .unwrap()
                    .to_owned();
                (&text[at("byteStart")..at("byteEnd")], kind)
            })
            .collect()
    }

    #[test]
    fn ranges_are_bytes_even_behind_an_emoji() {
        let text = "👨‍👩‍👧 Grüße an @ann.example.org: https://a.example/ä?b=(c). #Grüße!";
        let kinds = seen(text);
        assert_eq!(
            kinds,
            [
                ("@ann.example.org", "mention".to_owned()),
                ("https://a.example/ä?b=(c)", "link".to_owned()),
                ("#Grüße", "tag".to_owned()),
            ]
        );
    }

    #[test]
    fn an_unknown_handle_stays_text() {
        assert!(seen("hello @bob.example.org").is_empty());
        assert_eq!(
            mentioned("@Bob.Example.org and @bob.example.org, not a@b.example"),
            ["bob.example.org"]
        );
    }

    #[test]
    fn marks_inside_links_and_words_are_no_facets() {
        assert_eq!(
            seen("https://a.example/#part"),
            [("https://a.example/#part", "link".to_owned())]
        );
        assert!(seen("C# is no tag, #1 neither, # alone, @ alone, @nohost").is_empty());
    }

    #[test]
    fn a_tag_ends_before_punctuation_and_begins_after_white_space() {
        assert_eq!(
            seen("#one, (#two) #three#four #five_six."),
            [
                ("#one", "tag".to_owned()),
                ("#three#four", "tag".to_owned()),
                ("#five_six", "tag".to_owned()),
            ]
        );
        assert!(seen(&format!("#{}", "a".repeat(65))).is_empty());
    }

    /// Official cases, where the environment says they lie; see `.ci/run`.
    #[test]
    fn facets_agree_with_the_official_cases() {
        let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
            eprintln!("SKIPPED facets_agree_with_the_official_cases: CONFORMANCE_DIR is not set");
            return;
        };
        let cases =
            std::fs::read_to_string(std::path::Path::new(&folder).join("bluesky.jsonl")).unwrap();
        // Links after a quotation mark, and without two marks at their end: we read them as people do.
        let ours = [
            "b-163", "b-186", "b-189", "b-190", "b-191", "b-192", "b-193", "b-194",
        ];
        let mut wrong = Vec::new();
        for line in cases.lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let text = case["text"].as_str().unwrap();
            let wanted: Vec<(u64, u64, &str)> = case["facets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|facet| {
                    let at = |name: &str| facet[name].as_u64().unwrap();
                    (
                        at("byteStart"),
                        at("byteEnd"),
                        facet["type"].as_str().unwrap(),
                    )
                })
                // A domain without a scheme is a word to us, and a stock symbol is no tag.
                .filter(|(start, _, kind)| {
                    let rest = &text[usize::try_from(*start).unwrap()..];
                    (*kind != "link" || rest.starts_with("http")) && !rest.starts_with('$')
                })
                .collect();
            let seen: Vec<(u64, u64, &str)> = spans(text)
                .iter()
                .map(|span| {
                    let kind = match span.kind {
                        Kind::Link(_) => "link",
                        Kind::Tag(_) => "tag",
                        Kind::Mention(_) => "mention",
                    };
                    (span.start as u64, span.end as u64, kind)
                })
                .collect();
            let is_ours = ours.contains(&case["id"].as_str().unwrap());
            if (seen != wanted) != is_ours {
                wrong.push(format!(
                    "{}: {text:?}: saw {seen:?}, wanted {wanted:?}",
                    case["id"]
                ));
            }
        }
        assert!(
            wrong.is_empty(),
            "{} differ\n{}",
            wrong.len(),
            wrong.join("\n")
        );
    }
}
