//! Counting and comparing text as networks and readers do.
//!
//! Invariant: one implementation serves editor, checks, scripts and
//! reconciliation, so that they never disagree.

use unicode_segmentation::UnicodeSegmentation;

use crate::network::{TextRule, TextUnit};

/// How much of a limit a text uses.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct TextLength {
    /// Units used.
    pub used: usize,
    /// Most units.
    pub max: usize,
    /// Bytes in UTF-8.
    pub bytes: usize,
    /// Most bytes, where limited.
    pub bytes_max: Option<usize>,
}

impl TextLength {
    /// The text fits.
    pub fn fits(&self) -> bool {
        self.used <= self.max && self.bytes_max.is_none_or(|max| self.bytes <= max)
    }
}

/// Counts `text` as `rule` says.
pub fn measure(rule: &TextRule, text: &str) -> TextLength {
    TextLength {
        used: count(rule, text),
        max: rule.max,
        bytes: text.len(),
        bytes_max: rule.bytes_max,
    }
}

fn count(rule: &TextRule, text: &str) -> usize {
    let mut used = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let url = rule
            .url_length
            .and_then(|length| next_url(rest).map(|found| (found, length)));
        let mention = if rule.short_mentions {
            next_remote_mention(rest)
        } else {
            None
        };
        let cut = [
            url.map(|((start, _), _)| start),
            mention.map(|(start, _, _)| start),
        ]
        .into_iter()
        .flatten()
        .min();
        let Some(cut) = cut else {
            return used + units(rule.unit, rest);
        };
        used += units(rule.unit, &rest[..cut]);
        if let Some(((start, end), length)) = url
            && start == cut
        {
            used += length;
            rest = &rest[end..];
        } else if let Some((start, short_end, end)) = mention {
            used += units(rule.unit, &rest[start..short_end]);
            rest = &rest[end..];
        }
    }
    used
}

/// Length in one unit.
pub fn units(unit: TextUnit, text: &str) -> usize {
    match unit {
        TextUnit::Graphemes => text.graphemes(true).count(),
        TextUnit::Scalars => text.chars().count(),
        TextUnit::Utf16 => text.encode_utf16().count(),
        TextUnit::Bytes => text.len(),
        TextUnit::Weighted => text.graphemes(true).map(weight).sum(),
    }
}

// X's configuration v3: these ranges weigh 1, all else 2, an emoji sequence 2.
fn weight(grapheme: &str) -> usize {
    let light = |c: char| matches!(c as u32, 0..=4351 | 8192..=8205 | 8208..=8223 | 8242..=8247);
    let scalars = grapheme.chars().count();
    if scalars > 1 && grapheme.chars().any(|c| !light(c)) {
        2
    } else {
        grapheme.chars().map(|c| if light(c) { 1 } else { 2 }).sum()
    }
}

/// The next `http(s)://…` in `text`: byte range.
pub fn next_url(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(at) = text[from..].find("http") {
        let start = from + at;
        let tail = &text[start..];
        let scheme = if tail.starts_with("https://") {
            8
        } else if tail.starts_with("http://") {
            7
        } else {
            from = start + 4;
            continue;
        };
        let mut end = start
            + tail
                .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
                .unwrap_or(tail.len());
        while end > start + scheme {
            let last = text[..end].chars().next_back().unwrap_or(' ');
            let unbalanced = last == ')'
                && text[start..end].matches(')').count() > text[start..end].matches('(').count();
            if !matches!(last, '.' | ',' | ';' | ':' | '!' | '?' | '\'') && !unbalanced {
                break;
            }
            end -= last.len_utf8();
        }
        if end > start + scheme {
            return Some((start, end));
        }
        from = start + scheme;
    }
    None
}

// `@user@host.tld`: byte offsets of start, end of `@user`, end of all.
fn next_remote_mention(text: &str) -> Option<(usize, usize, usize)> {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut from = 0;
    while let Some(at) = text[from..].find('@') {
        let start = from + at;
        let after = start + 1;
        let user = text[after..]
            .find(|c| !name(c))
            .map_or(text.len(), |n| after + n);
        let preceded = text[..start]
            .chars()
            .next_back()
            .is_some_and(|c| c.is_alphanumeric() || c == '/');
        if !preceded && user > after && text[user..].starts_with('@') {
            let host = user + 1;
            let mut end = text[host..]
                .find(|c| !name(c))
                .map_or(text.len(), |n| host + n);
            while end > host && text[..end].ends_with(['.', '-']) {
                end -= 1;
            }
            if text[host..end].contains('.') {
                return Some((start, user, end));
            }
        }
        from = after;
    }
    None
}

/// Text reduced to what survives a network's rewriting: markup gone, entities
/// resolved by the caller, white space folded, variation selectors dropped,
/// links reduced to their host (networks wrap and shorten them).
pub fn normalise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((start, end)) = next_url(rest) {
        push_folded(&mut out, &rest[..start]);
        let url = &rest[start..end];
        let host = url
            .split("://")
            .nth(1)
            .unwrap_or("")
            .split(['/', '?', '#'])
            .next()
            .unwrap_or("");
        push_folded(&mut out, host.strip_prefix("www.").unwrap_or(host));
        rest = &rest[end..];
    }
    push_folded(&mut out, rest);
    out.trim().to_string()
}

fn push_folded(out: &mut String, part: &str) {
    for c in part.chars() {
        if c.is_whitespace() {
            if !out.ends_with(' ') {
                out.push(' ');
            }
        } else if !matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{200b}' | '\u{feff}') {
            out.push(c);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mastodon() -> TextRule {
        TextRule {
            unit: TextUnit::Graphemes,
            max: 500,
            bytes_max: None,
            url_length: Some(23),
            short_mentions: true,
        }
    }

    #[test]
    fn a_family_emoji_is_one_grapheme() {
        assert_eq!(units(TextUnit::Graphemes, "👨‍👩‍👧‍👦é"), 2);
    }

    #[test]
    fn links_and_remote_mentions_count_as_mastodon_counts_them() {
        let text = "Hi @ann@social.example, see https://example.org/a/very/long/path?with=query.";
        // "Hi @ann, see " is 13, the link 23, the full stop 1.
        assert_eq!(measure(&mastodon(), text).used, 13 + 23 + 1);
        assert_eq!(measure(&mastodon(), "mail a@b.example").used, 16);
    }

    #[test]
    fn x_weighs_cjk_and_emoji_double() {
        assert_eq!(units(TextUnit::Weighted, "a日👨‍👩‍👧"), 5);
    }

    #[test]
    fn a_closing_bracket_and_full_stop_are_not_part_of_a_link() {
        let text = "(see https://a.example/x_(y)). Next";
        let (start, end) = next_url(text).unwrap();
        assert_eq!(&text[start..end], "https://a.example/x_(y)");
    }

    #[test]
    fn normalised_texts_agree_through_a_networks_rewriting() {
        let sent = "Hello  world \u{2764}\u{fe0f}\nhttps://www.example.org/long/path?utm=1";
        let seen = "Hello world \u{2764} https://example.org/long ";
        assert_eq!(normalise(sent), normalise(seen));
        assert_ne!(normalise("Hello"), normalise("Hello!"));
    }
}
