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

// One pass: what comes next is remembered until it lies behind, so that no part of a text is searched
// once for each link or mention before it.
fn count(rule: &TextRule, text: &str) -> usize {
    let link_at = |from: usize| rule.url_length.and_then(|_| next_scheme(text, from));
    let mention_at = |from: usize| {
        let found = next_remote_mention(&text[from..]).filter(|_| rule.short_mentions);
        found.map(|(start, short_end, end)| (from + start, from + short_end, from + end))
    };
    let (mut used, mut at) = (0, 0);
    let (mut link, mut mention) = (link_at(0), mention_at(0));
    loop {
        if link.is_some_and(|(start, _)| start < at) {
            link = link_at(at);
        }
        if mention.is_some_and(|(start, _, _)| start < at) {
            mention = mention_at(at);
        }
        match (link, mention) {
            (Some((start, body)), _) if mention.is_none_or(|(other, _, _)| start < other) => {
                if let Some(end) = url_end(text, start, body) {
                    used += units(rule.unit, &text[at..start]) + rule.url_length.unwrap_or(0);
                    at = end;
                } else {
                    link = link_at(body);
                }
            }
            (_, Some((start, short_end, end))) => {
                used += units(rule.unit, &text[at..start]);
                used += units(rule.unit, &text[start..short_end]);
                at = end;
            }
            _ => return used + units(rule.unit, &text[at..]),
        }
    }
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
    while let Some((start, body)) = next_scheme(text, from) {
        if let Some(end) = url_end(text, start, body) {
            return Some((start, end));
        }
        from = body;
    }
    None
}

// The next `http(s)://` from an offset on: its start and its end.
fn next_scheme(text: &str, mut from: usize) -> Option<(usize, usize)> {
    while let Some(at) = text[from..].find("http") {
        let start = from + at;
        let tail = &text[start..];
        if tail.starts_with("https://") {
            return Some((start, start + 8));
        }
        if tail.starts_with("http://") {
            return Some((start, start + 7));
        }
        from = start + 4;
    }
    None
}

// The end of the link that starts at `start` and has its first own character at `body`; none if it has none.
fn url_end(text: &str, start: usize, body: usize) -> Option<usize> {
    let mut end = text[body..]
        .find(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"'))
        .map_or(text.len(), |n| body + n);
    let mut closing = text[start..end].matches(')').count();
    let opening = text[start..end].matches('(').count();
    while end > body {
        let last = text[body..end].chars().next_back().unwrap_or(' ');
        match last {
            ')' if closing > opening => closing -= 1,
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' => {}
            _ => break,
        }
        end -= last.len_utf8();
    }
    (end > body).then_some(end)
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
    // First what nobody sees: a link may only be one without it.
    let seen: String = text.chars().filter(|c| !is_unseen(*c)).collect();
    let mut out = String::with_capacity(seen.len());
    let mut rest = seen.as_str();
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
        } else {
            out.push(c);
        }
    }
}

fn is_unseen(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{200b}' | '\u{feff}')
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
    fn normal_text_stays_as_it_is() {
        for text in [
            "https:/\u{200b}/a.example/x y",
            "ht\u{fe0f}tp://b",
            "a \u{feff} b",
        ] {
            let once = normalise(text);
            assert_eq!(normalise(&once), once, "{text:?}");
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
    fn closing_brackets_are_given_back_until_they_balance() {
        let text = "https://a.example/(x)).).";
        assert_eq!(next_url(text), Some((0, "https://a.example/(x)".len())));
        assert_eq!(next_url("http://)))"), None);
        assert_eq!(next_url("http://). https://b.example"), Some((10, 27)));
    }

    #[test]
    fn a_link_within_a_mention_or_a_mention_within_a_link_is_counted_once() {
        // The mention takes `http` for the end of its host, so that no link is left.
        assert_eq!(measure(&mastodon(), "@a@x.http://b").used, 2 + 4);
        assert_eq!(
            measure(&mastodon(), "https://x.example/(@a@b.example)").used,
            23
        );
        assert_eq!(
            measure(&mastodon(), "http://. @a@b.example https://x.example").used,
            9 + 2 + 1 + 23
        );
    }

    // Whoever counts anew for each character or each link does not come to the end of these.
    #[test]
    fn texts_made_to_be_slow_are_counted_in_one_pass() {
        let texts = [
            format!("http://{}", ")".repeat(1_000_000)),
            format!("http://x{}", ")".repeat(1_000_000)),
            "@a@b.example ".repeat(80_000) + "http://x.example",
            "http://x ".repeat(110_000) + "@a@b.example",
            "@a@x.http://-".repeat(80_000),
            "http://(@a@b.c ".repeat(70_000),
            "http".repeat(250_000),
            "@".repeat(1_000_000),
            "@a".repeat(500_000),
            format!("@a@{}", ".".repeat(1_000_000)),
            "🇩".repeat(250_000),
            "\u{200d}👩".repeat(140_000),
        ];
        for text in texts {
            assert!(measure(&mastodon(), &text).used > 0);
            assert!(!normalise(&text).is_empty());
        }
    }

    #[test]
    fn normalised_texts_agree_through_a_networks_rewriting() {
        let sent = "Hello  world \u{2764}\u{fe0f}\nhttps://www.example.org/long/path?utm=1";
        let seen = "Hello world \u{2764} https://example.org/long ";
        assert_eq!(normalise(sent), normalise(seen));
        assert_ne!(normalise("Hello"), normalise("Hello!"));
    }

    /// Unicode's own break test, where the environment says it lies; see `.ci/run`.
    #[test]
    fn graphemes_are_counted_as_unicode_counts_them() {
        let Some(folder) = std::env::var_os("CONFORMANCE_DIR") else {
            eprintln!(
                "SKIPPED graphemes_are_counted_as_unicode_counts_them: CONFORMANCE_DIR is not set"
            );
            return;
        };
        let path = std::path::Path::new(&folder).join("graphemes.jsonl");
        let cases = std::fs::read_to_string(path).unwrap();
        let mut wrong = Vec::new();
        for line in cases.lines() {
            let case: serde_json::Value = serde_json::from_str(line).unwrap();
            // Cases that Unicode 17's file does not have, or counts otherwise, are ahead of our tables.
            if case["in_unicode_17_file"] != "same" || case["in_unicode_15_file"] != "same" {
                continue;
            }
            let used = units(TextUnit::Graphemes, case["text"].as_str().unwrap());
            if Some(used as u64) != case["count"].as_u64() {
                wrong.push(case["id"].to_string());
            }
        }
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
