//! Web pages where a feed was expected.
//!
//! Owns recognising a page and finding the feeds it names. Must not render or trust it. Invariant: what it
//! finds are absolute web addresses, at most [`MAX_ALTERNATES`].

use super::text::{find_ignoring_case, web_url};

/// Most feeds reported of one page.
const MAX_ALTERNATES: usize = 10;
/// Longest tag that is read: without it a page of unclosed tags would be read again for each of them.
const TAG_BYTES: usize = 4_096;
/// How much of a page is searched: feeds are named in its head.
const HEAD_CHARS: usize = 200_000;

/// True when the text begins like a web page.
pub(super) fn is_page(text: &str) -> bool {
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        let skipped = if rest.starts_with("<?xml") {
            rest.find("?>").map(|end| &rest[end + 2..])
        } else if rest.starts_with("<!--") {
            rest.find("-->").map(|end| &rest[end + 3..])
        } else {
            break;
        };
        match skipped {
            Some(after) => rest = after,
            None => return false,
        }
    }
    ["<!doctype html", "<html", "<head", "<body"]
        .iter()
        .any(|start| {
            rest.get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start))
                && !rest[start.len()..].starts_with(|c: char| c.is_alphanumeric())
        })
}

/// The feeds a page names with `<link rel="alternate">`.
pub(super) fn alternates(page: &str, base: Option<&url::Url>) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let end = page
        .char_indices()
        .nth(HEAD_CHARS)
        .map_or(page.len(), |(end, _)| end);
    let mut rest = &page[..end];
    while let Some(at) = find_ignoring_case(rest, "<link") {
        rest = &rest[at + 5..];
        let window = &rest[..rest.floor_char_boundary(TAG_BYTES.min(rest.len()))];
        let tag = &window[..window.find('>').unwrap_or(0)];
        if let Some(feed) = feed_of(tag, base).filter(|feed| !found.contains(feed)) {
            found.push(feed);
        }
        if found.len() == MAX_ALTERNATES {
            break;
        }
    }
    found
}

fn feed_of(tag: &str, base: Option<&url::Url>) -> Option<String> {
    let rel = attribute(tag, "rel")?;
    let kind = attribute(tag, "type")?.to_ascii_lowercase();
    let is_feed = ["rss", "atom", "rdf", "feed+json"]
        .iter()
        .any(|word| kind.contains(word));
    let alternate = rel
        .split_whitespace()
        .any(|word| word.eq_ignore_ascii_case("alternate"));
    if !is_feed || !alternate {
        return None;
    }
    web_url(
        &html_escape::decode_html_entities(attribute(tag, "href")?),
        base,
    )
}

fn attribute<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut from = 0;
    while let Some(at) = find_ignoring_case(&tag[from..], name) {
        let start = from + at;
        from = start + name.len();
        let own_word =
            tag[..start].ends_with(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '/'));
        let Some(value) = tag[from..]
            .trim_start()
            .strip_prefix('=')
            .filter(|_| own_word)
        else {
            continue;
        };
        let value = value.trim_start();
        return Some(match value.chars().next() {
            Some(quote @ ('"' | '\'')) => value[1..].split(quote).next().unwrap_or(""),
            _ => value.split_whitespace().next().unwrap_or(""),
        });
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_names_its_feeds() {
        let page = "<!DOCTYPE HTML><LINK REL='alternate home' type=application/rss+xml href=/feed?a=1&amp;b=2>\
            <link href=\"https://b.example/atom\" type=\"application/atom+xml\" rel=\"alternate\" title=\"rel\" />\
            <link rel=stylesheet type=text/css href=/x.css><link rel=alternate hreflang=de href=/de>";
        let base = url::Url::parse("https://a.example/blog/").unwrap();
        assert!(is_page(page));
        assert_eq!(
            alternates(page, Some(&base)),
            ["https://a.example/feed?a=1&b=2", "https://b.example/atom"]
        );
    }

    #[test]
    fn a_feed_is_no_page() {
        assert!(is_page("<?xml version='1.0'?>\n<!-- x --><html lang=en>"));
        for text in [
            "<rss>",
            "<?xml version='1.0'?><feed>",
            "<!DOCTYPE rss>",
            "<htmlish>",
            "<!-- open",
        ] {
            assert!(!is_page(text), "{text}");
        }
    }
}
