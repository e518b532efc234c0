//! The inside of tags.
//!
//! Owns where a tag ends and what its attributes are, quoted or not. Must not know which tags there are.
//! Invariant: every function moves forward, so that a document is read in one pass.

use super::FeedError;

/// Longest tag, attributes included.
const MAX_TAG_BYTES: usize = 64 * 1024;

pub(super) fn after<'t>(text: &'t str, end: &str) -> &'t str {
    text.split_once(end).map_or("", |(_, rest)| rest)
}

/// Skips a DOCTYPE with its internal subset.
pub(super) fn after_doctype(text: &str) -> &str {
    let (mut depth, mut quote) = (0usize, None);
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some(open), _) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, '[' | '<') => depth += 1,
            (None, ']') => depth = depth.saturating_sub(1),
            (None, '>') if depth <= 1 => return &text[at + 1..],
            (None, '>') => depth -= 1,
            _ => {}
        }
    }
    ""
}

/// Where the tag that `text` begins with ends, or `None` at the end of the document.
pub(super) fn tag_end(text: &str) -> Result<Option<usize>, FeedError> {
    let mut quote = None;
    let mut first_end = None;
    for (at, byte) in text.bytes().enumerate() {
        if at > MAX_TAG_BYTES {
            // A quote that never closes: the tag ended at the first ">".
            return match first_end {
                Some(end) => Ok(Some(end)),
                None => Err(FeedError::Malformed {
                    detail: format!("a tag is longer than {MAX_TAG_BYTES} bytes"),
                }),
            };
        }
        match (quote, byte) {
            (Some(open), _) if open == byte => quote = None,
            (Some(_), b'>') => first_end = first_end.or(Some(at)),
            (Some(_), _) => {}
            (None, b'"' | b'\'') => quote = Some(byte),
            (None, b'>') => return Ok(Some(at)),
            _ => {}
        }
    }
    Ok(first_end)
}

/// Names and values of a tag's attributes, quoted or not.
pub(super) fn attributes(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '/');
        if rest.is_empty() {
            return None;
        }
        let end = rest
            .find(|c: char| c.is_whitespace() || c == '=')
            .unwrap_or(rest.len());
        let name = &rest[..end];
        rest = rest[end..].trim_start();
        let Some(value) = rest.strip_prefix('=') else {
            return Some((name, name));
        };
        let value = value.trim_start();
        let (value, next) = match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split_once(quote).unwrap_or((&value[1..], "")),
            _ => value.split_at(value.find(char::is_whitespace).unwrap_or(value.len())),
        };
        rest = next;
        Some((name, value))
    })
}

pub(super) fn is_name_start(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

pub(super) fn is_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':')
}
