//! From bytes to text.
//!
//! Owns the guess at a document's encoding. Must not look at what the text means. Invariant: never fails;
//! bytes that make no sense become replacement characters.

use std::borrow::Cow;

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

/// How much of a document may hold its XML declaration.
const DECLARATION_BYTES: usize = 512;

pub(super) fn decode<'b>(bytes: &'b [u8], content_type: Option<&str>) -> Cow<'b, str> {
    if let Some((encoding, mark)) = Encoding::for_bom(bytes) {
        return encoding.decode_without_bom_handling(&bytes[mark..]).0;
    }
    // The first character of a feed is "<" or "{", so a zero next to it gives UTF-16 away.
    match bytes {
        [b'<' | b'{' | b'[', 0, ..] => return UTF_16LE.decode_without_bom_handling(bytes).0,
        [0, b'<' | b'{' | b'[', ..] => return UTF_16BE.decode_without_bom_handling(bytes).0,
        _ => {}
    }
    let http = content_type.and_then(http_charset);
    let declared = xml_declaration(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => match http.or(declared) {
            // Encodings that write everything in ASCII bytes.
            Some(encoding)
                if text.is_ascii() && !encoding.is_ascii_compatible() && !is_utf16(encoding) =>
            {
                encoding.decode_without_bom_handling(bytes).0
            }
            // Text that happens to be valid UTF-8 is UTF-8, whatever its label says.
            _ => Cow::Borrowed(text),
        },
        Err(_) => {
            legacy(bytes, http, declared)
                .decode_without_bom_handling(bytes)
                .0
        }
    }
}

/// The encoding of bytes that are no valid UTF-8.
fn legacy(
    bytes: &[u8],
    http: Option<&'static Encoding>,
    declared: Option<&'static Encoding>,
) -> &'static Encoding {
    let single = |e: &&'static Encoding| *e != UTF_8 && !is_utf16(e);
    // A server that says latin1 often says so for everything: the document knows better.
    let by_default = http == Some(WINDOWS_1252);
    let labels = if by_default {
        [declared, http]
    } else {
        [http, declared]
    };
    if let Some(encoding) = labels.into_iter().flatten().find(single) {
        return encoding;
    }
    if mostly_utf8(bytes) {
        UTF_8
    } else {
        WINDOWS_1252
    }
}

/// True when more multi-byte characters are whole than broken.
fn mostly_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0usize, 0usize);
    for chunk in bytes.utf8_chunks() {
        whole += chunk.valid().chars().filter(|c| !c.is_ascii()).count();
        broken += usize::from(!chunk.invalid().is_empty());
    }
    whole > broken
}

fn is_utf16(encoding: &Encoding) -> bool {
    encoding == UTF_16LE || encoding == UTF_16BE
}

fn http_charset(content_type: &str) -> Option<&'static Encoding> {
    content_type.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let label = value.trim().trim_matches(['"', '\'']);
        name.trim()
            .eq_ignore_ascii_case("charset")
            .then(|| Encoding::for_label(label.as_bytes()))?
    })
}

fn xml_declaration(bytes: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(DECLARATION_BYTES)]);
    let start = head.find("<?xml")?;
    let declaration = &head[start..start + head[start..].find("?>")?];
    let value = declaration
        .split_once("encoding")?
        .1
        .trim_start()
        .strip_prefix('=')?
        .trim_start();
    let label = value.strip_prefix(['"', '\''])?.split(['"', '\'']).next()?;
    Encoding::for_label(label.trim().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_believed_only_as_far_as_the_bytes_agree() {
        assert_eq!(
            decode("caf\u{e9}".as_bytes(), Some("text/xml; charset=iso-8859-1")),
            "caf\u{e9}"
        );
        assert_eq!(
            decode(b"caf\xe9", Some("text/xml; charset=\"UTF-8\"")),
            "caf\u{e9}"
        );
        assert_eq!(decode(b"\x93hi\x94", None), "\u{201c}hi\u{201d}");
        let cyrillic = b"<?xml version='1.0' encoding='windows-1251'?>\xcf\xf0";
        assert!(decode(cyrillic, None).ends_with("\u{41f}\u{440}"));
        assert!(decode(cyrillic, Some("text/xml;charset=ISO-8859-1")).ends_with("\u{41f}\u{440}"));
        assert!(decode(cyrillic, Some("text/xml;charset=koi8-r")).ends_with("\u{43e}\u{41f}"));
        assert_eq!(
            decode(b"\x1b$B$\"\x1b(B", Some("text/xml; charset=iso-2022-jp")),
            "\u{3042}"
        );
    }

    #[test]
    fn one_broken_byte_does_not_spoil_a_utf8_document() {
        assert_eq!(
            decode(b"\xc3\xa9\xc3\xa9\xc3\xa9 \xff", None),
            "\u{e9}\u{e9}\u{e9} \u{fffd}"
        );
    }

    #[test]
    fn utf16_is_seen_with_and_without_a_mark() {
        let units: Vec<u16> = "<a>\u{e9}</a>".encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|u| u.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|u| u.to_be_bytes()).collect();
        for bytes in [
            little.clone(),
            big.clone(),
            [&[0xff, 0xfe], &*little].concat(),
            [&[0xfe, 0xff], &*big].concat(),
        ] {
            assert_eq!(
                decode(&bytes, Some("text/xml; charset=utf-8")),
                "<a>\u{e9}</a>"
            );
        }
    }
}
