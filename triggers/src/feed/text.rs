//! From markup to plain text.
//!
//! Owns entity decoding and tag stripping for display. Must not be relied on to make HTML safe. Invariant: linear
//! in the length of its input, and never longer than the cap it is given.

/// Elements that end a line.
const BLOCKS: &[&str] = &[
    "p",
    "br",
    "div",
    "li",
    "tr",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "blockquote",
    "pre",
    "ul",
    "ol",
];
/// Elements whose content is no text.
const SILENT: &[&str] = &["script", "style", "template"];

/// Plain text of a piece of HTML: tags gone, entities read, white space collapsed, lines kept.
pub(super) fn plain(html: &str, max: usize) -> String {
    let mut out = String::with_capacity(html.len().min(max * 4));
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        let after = rest[1..].trim_start_matches('/');
        if !after.starts_with(|c: char| c.is_ascii_alphabetic() || c == '!' || c == '?') {
            out.push('<');
            rest = &rest[1..];
            continue;
        }
        let name: String = after
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        let closing = rest.starts_with("</");
        rest = rest.find('>').map_or("", |end| &rest[end + 1..]);
        if BLOCKS.contains(&name.as_str()) {
            out.push('\n');
        }
        if !closing && SILENT.contains(&name.as_str()) {
            let end = format!("</{name}");
            rest = find_ignoring_case(rest, &end).map_or("", |at| &rest[at..]);
        }
    }
    out.push_str(rest);
    cap(&collapse(&html_escape::decode_html_entities(&out)), max)
}

/// One line of text, for titles and names. Entities are read once more, since many feeds escape twice.
pub(super) fn line(text: &str, max: usize) -> String {
    plain(text, max)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// At most `max` characters.
pub(super) fn cap(text: &str, max: usize) -> String {
    match text.char_indices().nth(max) {
        Some((end, _)) => text[..end].to_owned(),
        None => text.to_owned(),
    }
}

fn collapse(text: &str) -> String {
    let lines = text
        .split('\n')
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let mut out = String::with_capacity(text.len());
    for line in lines.filter(|line| !line.is_empty()) {
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(&line);
    }
    out.chars()
        .filter(|c| *c == '\n' || !c.is_control())
        .collect()
}

/// Where `needle` (ASCII) begins in `text`, whatever its case.
pub(super) fn find_ignoring_case(text: &str, needle: &str) -> Option<usize> {
    text.as_bytes()
        .windows(needle.len())
        .position(|window| window.eq_ignore_ascii_case(needle.as_bytes()))
}

/// An absolute http or https URL, or nothing.
pub(super) fn web_url(text: &str, base: Option<&url::Url>) -> Option<String> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let url = match base {
        Some(base) => base.join(text).ok()?,
        None => url::Url::parse(text).ok()?,
    };
    let short = url.as_str().len() <= super::MAX_SHORT_CHARS;
    (matches!(url.scheme(), "http" | "https") && short).then(|| url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let html = "<p>Fish &amp; <b>chips</b>&nbsp;1 < 2</p><SCRIPT>alert(1)</Script><style>x</style>\n\n<br/>end<!-- x -->";
        assert_eq!(plain(html, 100), "Fish & chips 1 < 2\nend");
        assert_eq!(line("  a\n <i>b</i> ", 100), "a b");
        assert_eq!(plain("<unfinished", 100), "");
        assert_eq!(plain("<script>never closed", 100), "");
        assert_eq!(cap("\u{e9}\u{e9}\u{e9}", 2), "\u{e9}\u{e9}");
    }

    #[test]
    fn only_web_links_survive() {
        let base = url::Url::parse("https://a.example/b/c").unwrap();
        assert_eq!(web_url("../d", Some(&base)).unwrap(), "https://a.example/d");
        assert_eq!(web_url("javascript:alert(1)", Some(&base)), None);
        assert_eq!(web_url("data:text/html,x", None), None);
        assert_eq!(web_url("/d", None), None);
        assert_eq!(web_url(" ", Some(&base)), None);
    }
}
