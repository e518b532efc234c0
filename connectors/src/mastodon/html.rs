//! The text behind a status.
//!
//! Owns the way from the HTML that servers make back to comparable text. Must
//! not be used to show anything. Invariant: a text and what a server makes of
//! it are comparable as equal; the price is that links compare by host only.

use so_model::text::normalise;
use unicode_normalization::UnicodeNormalization;

/// Tags that stand for white space.
const BREAKS: [&str; 14] = [
    "br",
    "p",
    "div",
    "li",
    "ul",
    "ol",
    "blockquote",
    "pre",
    "hr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
];
/// Tags that stand for nothing.
const SPANS: [&str; 17] = [
    "a", "span", "b", "strong", "i", "em", "u", "s", "del", "code", "small", "sub", "sup", "img",
    "ruby", "rt", "rp",
];

/// A status's text without tags; paragraphs and line breaks become white space.
pub(super) fn to_text(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('>') else {
            rest = "";
            break;
        };
        let inside = &rest[open + 1..open + close];
        let tag = inside.trim_start_matches('/').to_ascii_lowercase();
        let name = tag
            .split(|c: char| !c.is_ascii_alphanumeric())
            .next()
            .unwrap_or("");
        if BREAKS.contains(&name) {
            out.push('\n');
        } else if !SPANS.contains(&name) {
            // Some servers do not escape what people type between such signs.
            out.push('<');
            rest = &rest[open + 1..];
            continue;
        }
        rest = &rest[open + close + 1..];
    }
    out.push_str(rest);
    html_escape::decode_html_entities(&out).into_owned()
}

/// Text reduced to what servers leave of it: composed, remote mentions shortened to the name.
pub(super) fn comparable(text: &str) -> String {
    let composed: String = text.nfc().collect();
    normalise(&shorten_mentions(&composed))
}

fn shorten_mentions(text: &str) -> String {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('@') {
        let after = &rest[at + 1..];
        let user_end = after.find(|c| !name(c)).unwrap_or(after.len());
        out.push_str(&rest[..at + 1 + user_end]);
        rest = &after[user_end..];
        if user_end > 0
            && let Some(host) = rest.strip_prefix('@')
        {
            let host_end = host.find(|c| !name(c)).unwrap_or(host.len());
            // A full stop after the mention belongs to the sentence.
            let host_end = host[..host_end].trim_end_matches(['.', '-']).len();
            if host[..host_end].contains('.') {
                rest = &host[host_end..];
            }
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_makes_of_a_text_compares_as_equal() {
        let sent = "Hi @ann@m.example & all,\n\nsee https://www.example.org/a/very/long/path #News";
        let html = concat!(
            "<p>Hi <span class=\"h-card\"><a href=\"https://m.example/@ann\">@<span>ann</span></a></span> &amp; all,</p>",
            "<p>see <a href=\"https://www.example.org/a/very/long/path\"><span class=\"invisible\">https://www.</span>",
            "<span class=\"ellipsis\">example.org/a/very/lo</span><span class=\"invisible\">ng/path</span></a> ",
            "<a href=\"https://m.example/tags/news\">#<span>News</span></a></p>",
        );
        assert_eq!(comparable(&to_text(html)), comparable(sent));
    }

    #[test]
    fn different_texts_stay_different() {
        assert_ne!(
            comparable(&to_text("<p>Hello 2</p>")),
            comparable("Hello 1")
        );
        assert_ne!(comparable("a@b"), comparable("a"));
    }

    #[test]
    fn composed_and_decomposed_letters_are_equal() {
        assert_eq!(comparable("Cafe\u{301}"), comparable("Café"));
    }

    #[test]
    fn broken_markup_does_not_panic() {
        assert_eq!(to_text("a <b"), "a ");
        assert_eq!(to_text("ä<é>ö<span>ü"), "ä<é>öü");
        assert_eq!(to_text("1 < 2 > 0 & <all><br>"), "1 < 2 > 0 & <all>\n");
    }
}
