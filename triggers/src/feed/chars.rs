//! Characters and references to them.
//!
//! Owns which characters XML can hold and what entities of HTML mean. Must not know elements. Invariant: what it
//! writes holds no reference but the five names of XML.

/// Longest name of an entity.
const MAX_ENTITY_BYTES: usize = 32;

/// Characters that XML 1.0 can hold.
pub(super) fn is_legal(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r') || (c >= ' ' && !matches!(c, '\u{fffe}' | '\u{ffff}'))
}

/// Writes text with every `&` explained and every illegal character gone.
pub(super) fn escape(text: &str, in_attribute: bool, out: &mut String) {
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let mut used = c.len_utf8();
        match c {
            '&' => match entity(&rest[1..]) {
                Some((value, length)) => {
                    used += length;
                    push_escaped(value, in_attribute, out);
                }
                None => out.push_str("&amp;"),
            },
            _ => push_escaped(Some(c), in_attribute, out),
        }
        rest = &rest[used..];
    }
}

fn push_escaped(c: Option<char>, in_attribute: bool, out: &mut String) {
    match c {
        Some('<') => out.push_str("&lt;"),
        Some('>') => out.push_str("&gt;"),
        Some('&') => out.push_str("&amp;"),
        Some('"') if in_attribute => out.push_str("&quot;"),
        Some(c) if is_legal(c) => out.push(c),
        _ => {}
    }
}

/// The character behind `name;` and the length of that. The character is missing when XML cannot hold it.
fn entity(text: &str) -> Option<(Option<char>, usize)> {
    let end = text
        .bytes()
        .take(MAX_ENTITY_BYTES)
        .position(|byte| byte == b';')?;
    let name = &text[..end];
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return Some((numbered(code), end + 1));
    }
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let whole = format!("&{name};");
    let decoded = html_escape::decode_html_entities(&whole);
    let mut characters = decoded.chars();
    match (characters.next(), characters.next()) {
        (Some(c), None) => Some((Some(c), end + 1)),
        _ => None,
    }
}

/// A character reference; the range that windows-1252 uses for printing is read as such, as browsers do.
fn numbered(code: u32) -> Option<char> {
    match code {
        0x80..=0x9f => {
            let byte = [u8::try_from(code).ok()?];
            encoding_rs::WINDOWS_1252
                .decode_without_bom_handling(&byte)
                .0
                .chars()
                .next()
        }
        _ => char::from_u32(code),
    }
}
