//! Text work of the script functions, as plain Rust.
//!
//! Owns counting, cutting and cleaning of texts; must not know Rhai. Invariant: every output is
//! at most a small constant times its input, which the sandbox bounds.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;
use unicode_segmentation::UnicodeSegmentation;

/// Hashtags or links taken from one text.
const MAX_FOUND: usize = 500;

/// Longest slug: what file systems and address bars still show.
const MAX_SLUG: usize = 200;

/// Longest entity, `&` and `;` apart, that is worth looking up.
const MAX_ENTITY: usize = 10;

/// Characters as a reader counts them.
pub(super) fn count(text: &str) -> usize {
    text.graphemes(true).count()
}

/// The first characters as a reader counts them; a cut text ends in an ellipsis within the count.
pub(super) fn truncate(text: &str, limit: usize) -> String {
    if limit == 0 {
        return String::new();
    }
    let mut starts = text.grapheme_indices(true).skip(limit - 1);
    match (starts.next(), starts.next()) {
        (Some((cut, _)), Some(_)) => format!("{}…", text[..cut].trim_end()),
        _ => text.to_owned(),
    }
}

/// Text of an HTML fragment: tags gone, breaks and paragraphs as new lines, entities decoded.
pub(super) fn strip_html(html: &str) -> String {
    let mut out = String::with_capacity(html.len());
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        let Some(close) = rest[open..].find('>') else {
            rest = &rest[open..];
            break;
        };
        let tag = tag_name(&rest[open + 1..open + close]);
        rest = &rest[open + close + 1..];
        match tag.as_str() {
            "br" | "/p" | "/div" | "/li" | "/h1" | "/h2" | "/h3" => out.push('\n'),
            "script" | "style" => {
                let end = rest.find(&format!("</{tag}")).unwrap_or(rest.len());
                rest = &rest[end..];
            }
            _ => {}
        }
    }
    out.push_str(rest);
    decode_entities(out.trim())
}

fn tag_name(inside: &str) -> String {
    inside
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '/')
        .take(12)
        .collect::<String>()
        .trim_end_matches('/')
        .to_ascii_lowercase()
}

fn decode_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let end = rest
            .bytes()
            .take(MAX_ENTITY + 2)
            .position(|byte| byte == b';');
        match end.and_then(|end| entity(&rest[1..end]).map(|decoded| (decoded, end))) {
            Some((decoded, end)) => {
                out.push(decoded);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        "hellip" => Some('…'),
        _ => {
            let digits = name.strip_prefix('#')?;
            let code = match digits.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => digits.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// Hashtags without their sign, in order, each once. A tag of digits only is a number.
pub(super) fn hashtags(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut before = ' ';
    for (at, character) in text.char_indices() {
        let starts = character == '#' && !before.is_alphanumeric() && !"&/#".contains(before);
        before = character;
        if !starts || found.len() >= MAX_FOUND {
            continue;
        }
        let tag: String = text[at + 1..]
            .chars()
            .take_while(|c| c.is_alphanumeric() || *c == '_' || is_combining_mark(*c))
            .collect();
        if tag.chars().any(|c| !c.is_numeric()) && !found.contains(&tag) {
            found.push(tag);
        }
    }
    found
}

/// Web links in order, each once, without the punctuation that ends a sentence.
pub(super) fn links(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut rest = text;
    while found.len() < MAX_FOUND {
        let Some(start) = rest.find("http") else {
            break;
        };
        let candidate = &rest[start..];
        let end = candidate
            .find(|c: char| c.is_whitespace() || "<>\"'`".contains(c))
            .unwrap_or(candidate.len());
        let link = candidate[..end].trim_end_matches(['.', ',', ';', ':', '!', '?', ')', ']']);
        let host = link
            .strip_prefix("https://")
            .or_else(|| link.strip_prefix("http://"));
        let taken = match host {
            Some(host) if !host.is_empty() => {
                if !found.iter().any(|known| known == link) {
                    found.push(link.to_owned());
                }
                end
            }
            _ => "http".len(),
        };
        rest = &candidate[taken..];
    }
    found
}

/// Lower-case letters and digits with single hyphens.
pub(super) fn slug(text: &str) -> String {
    let mut out = String::new();
    for character in text.nfkd().filter(|c| !is_combining_mark(*c)) {
        if out.len() >= MAX_SLUG {
            break;
        }
        match character {
            'ß' => out.push_str("ss"),
            'æ' | 'Æ' => out.push_str("ae"),
            'ø' | 'Ø' => out.push('o'),
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
    }
    out.trim_end_matches('-').to_owned()
}

/// Percent-encodes all but the unreserved characters of RFC 3986.
pub(super) fn url_encode(text: &str) -> String {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
    out
}

/// Replaces, or says how long the result would have been. Rhai's own has no limit: two texts of
/// the full size make 64 gigabytes in one call.
pub(super) fn replace(text: &str, find: &str, with: &str, limit: usize) -> Result<String, usize> {
    if find.is_empty() {
        return Ok(text.to_owned());
    }
    let hits = text.matches(find).count();
    let length = text.len() - hits * find.len() + hits.saturating_mul(with.len());
    if length > limit {
        return Err(length);
    }
    Ok(text.replace(find, with))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_emoji_counts_as_one_character() {
        assert_eq!(count("a👨‍👩‍👧‍👦e\u{301}"), 3);
        assert_eq!(truncate("a👨‍👩‍👧‍👦bc", 3), "a👨‍👩‍👧‍👦…");
        assert_eq!(truncate("abc", 3), "abc");
        assert_eq!(truncate("abc", 0), "");
    }

    #[test]
    fn html_becomes_plain_text() {
        assert_eq!(
            strip_html("<p>Tom &amp; J&#101;rry</p><script>x()</script>"),
            "Tom & Jerry"
        );
        assert_eq!(strip_html("a<br/>b &unknown; < c"), "a\nb &unknown; < c");
    }

    #[test]
    fn hashtags_and_links_are_found_once() {
        assert_eq!(
            hashtags("#Rust and #100 and x#no, #Rust #größe_2"),
            ["Rust", "größe_2"]
        );
        assert_eq!(
            links("see https://a.example/b?c=1. And (http://d.example) or http"),
            ["https://a.example/b?c=1", "http://d.example"]
        );
    }

    #[test]
    fn slugs_and_encodings_are_ascii() {
        assert_eq!(slug("  Größe & Façade — 2! "), "grosse-facade-2");
        assert_eq!(url_encode("a b/ü"), "a%20b%2F%C3%BC");
    }

    #[test]
    fn a_replacement_that_explodes_is_refused_before_it_is_made() {
        let big = "a".repeat(200_000);
        assert_eq!(replace(&big, "a", &big, 262_144), Err(40_000_000_000));
        assert_eq!(replace("aXa", "a", "bb", 10), Ok("bbXbb".to_owned()));
    }
}
