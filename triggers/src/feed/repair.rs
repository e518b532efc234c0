//! Makes XML in the wild well-formed.
//!
//! Owns a forgiving tokenizer that writes its input out again as strict XML: entities known, characters legal,
//! tags balanced, prefixes declared. Must not know what a feed is beyond a few names. Invariant: its output has no
//! DOCTYPE, no declaration and no entity but the five of XML and character references, so nothing can expand.

use std::collections::HashSet;

use super::chars::{escape, is_legal};
use super::tags::{after, after_doctype, attributes, is_name, is_name_start, tag_end};
use super::{FeedError, MAX_FEED_ITEMS, MAX_PER_ITEM, MAX_XML_ATTRIBUTES, MAX_XML_DEPTH};

/// Most elements of a document: 2 000 items of a hundred elements fit.
const MAX_ELEMENTS: usize = 250_000;
/// Longest text between two tags that is kept: five times what is kept of an item's content.
const MAX_RUN_BYTES: usize = 1024 * 1024;

/// Well-formed XML and what it is.
pub(super) struct Repaired {
    pub xml: String,
    /// The local name of the outermost element.
    pub root: String,
    /// The document ended in the middle of an element; what was complete is kept.
    pub cut_short: bool,
    /// There were more items than [`MAX_FEED_ITEMS`]; the rest was not read.
    pub too_many: bool,
    /// One for each item, in order.
    pub extras: Vec<Extras>,
}

/// What is read of an item beside feed-rs.
#[derive(Clone, Debug, Default)]
pub(super) struct Extras {
    /// URL, type and length.
    pub enclosures: Vec<(String, Option<String>, Option<u64>)>,
    pub thumbnail: Option<String>,
}

/// Namespaces that feeds use and sometimes forget to declare.
const KNOWN_PREFIXES: &[(&str, &str)] = &[
    ("atom", "http://www.w3.org/2005/Atom"),
    ("content", "http://purl.org/rss/1.0/modules/content/"),
    ("dc", "http://purl.org/dc/elements/1.1/"),
    ("itunes", "http://www.itunes.com/dtds/podcast-1.0.dtd"),
    ("media", "http://search.yahoo.com/mrss/"),
    ("rdf", "http://www.w3.org/1999/02/22-rdf-syntax-ns#"),
];

const ATOM: &str = "http://www.w3.org/2005/Atom";
const RSS: &str = "http://purl.org/rss/1.0/";

struct Writer<'t> {
    text: &'t str,
    out: String,
    open: Vec<String>,
    declared: HashSet<String>,
    root: Option<String>,
    /// Where the outermost unfinished item begins in `out`, and how many elements were open before it.
    item: Option<(usize, usize)>,
    items: usize,
    too_many: bool,
    elements: usize,
    /// Where the text since the last tag begins in `out`.
    run: usize,
    extras: Vec<Extras>,
    atom_03: bool,
}

/// Writes `text` out again as well-formed XML.
pub(super) fn repair(text: &str) -> Result<Repaired, FeedError> {
    let mut writer = Writer {
        text,
        out: String::with_capacity(text.len() + 256),
        open: Vec::new(),
        declared: declared_prefixes(text),
        root: None,
        item: None,
        items: 0,
        too_many: false,
        elements: 0,
        run: 0,
        extras: Vec::new(),
        atom_03: text.contains("http://purl.org/atom/ns#"),
    };
    let ended = writer.run()?;
    let Some(root) = writer.root.clone() else {
        return Err(FeedError::NotAFeed {
            what: "text without any element".to_owned(),
        });
    };
    if !ended {
        writer.close_what_is_open();
    }
    Ok(Repaired {
        xml: writer.out,
        root,
        cut_short: !ended && !writer.too_many,
        too_many: writer.too_many,
        extras: writer.extras,
    })
}

fn declared_prefixes(text: &str) -> HashSet<String> {
    let mut found: HashSet<String> = HashSet::from(["xml".to_owned()]);
    for after in text.split("xmlns:").skip(1) {
        let name: String = after
            .chars()
            .take_while(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '.'))
            .collect();
        found.insert(name);
    }
    found
}

impl<'t> Writer<'t> {
    /// True when the outermost element was closed.
    fn run(&mut self) -> Result<bool, FeedError> {
        let mut rest = self.text;
        while let Some(at) = rest.find('<') {
            self.write_text(&rest[..at]);
            rest = &rest[at..];
            rest = if rest.starts_with("<!--") {
                after(rest, "-->")
            } else if let Some(data) = rest.strip_prefix("<![CDATA[") {
                let (data, next) = data.split_once("]]>").unwrap_or((data, ""));
                self.write_data(data);
                next
            } else if rest.starts_with("<!") {
                after_doctype(rest)
            } else if rest.starts_with("<?") {
                after(rest, "?>")
            } else if rest[1..].starts_with(|c: char| is_name_start(c) || c == '/') {
                let Some(end) = tag_end(rest)? else {
                    return Ok(false);
                };
                self.write_tag(&rest[1..end])?;
                &rest[end + 1..]
            } else {
                self.write_text("<");
                &rest[1..]
            };
            if self.too_many {
                return Ok(false);
            }
            if self.root.is_some() && self.open.is_empty() {
                return Ok(true);
            }
        }
        Ok(self.root.is_none())
    }

    fn write_text(&mut self, text: &str) {
        let room = MAX_RUN_BYTES.saturating_sub(self.out.len() - self.run);
        if !self.open.is_empty() && room > 0 {
            // One character becomes at most five bytes, so the bound holds to a factor.
            escape(
                &text[..text.floor_char_boundary(room.min(text.len()))],
                false,
                &mut self.out,
            );
        }
    }

    fn write_data(&mut self, data: &str) {
        let room = MAX_RUN_BYTES.saturating_sub(self.out.len() - self.run);
        if !self.open.is_empty() && room > 0 {
            let data = &data[..data.floor_char_boundary(room.min(data.len()))];
            self.out.push_str("<![CDATA[");
            self.out.extend(data.chars().filter(|c| is_legal(*c)));
            self.out.push_str("]]>");
        }
    }

    fn write_tag(&mut self, tag: &str) -> Result<(), FeedError> {
        if let Some(name) = tag.strip_prefix('/') {
            let name = self.rename(name.trim());
            self.close(&name);
            self.run = self.out.len();
            return Ok(());
        }
        self.elements += 1;
        if self.elements > MAX_ELEMENTS {
            return Err(FeedError::Malformed {
                detail: format!("it has more than {MAX_ELEMENTS} elements"),
            });
        }
        let (tag, empty) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let (name, attributes) =
            tag.split_at(tag.find(|c: char| c.is_whitespace()).unwrap_or(tag.len()));
        let name = self.rename(name);
        if self.open.len() >= MAX_XML_DEPTH {
            return Err(FeedError::TooDeep);
        }
        let is_root = self.root.is_none();
        if is_root {
            let local = name.rsplit(':').next().unwrap_or(&name).to_owned();
            // A channel without its rss around it.
            if local == "channel" {
                self.write_tag("rss version=\"2.0\"")?;
                return self.write_tag(tag);
            }
            self.root = Some(local);
        }
        if self.item.is_none()
            && matches!(name.rsplit(':').next(), Some("item" | "entry"))
            && !is_root
        {
            if self.items == MAX_FEED_ITEMS {
                self.too_many = true;
                return Ok(());
            }
            self.item = Some((self.out.len(), self.open.len()));
            self.items += 1;
            self.extras.push(Extras::default());
        }
        self.keep_extras(&name, attributes);
        self.out.push('<');
        self.out.push_str(&name);
        self.write_attributes(attributes, is_root)?;
        self.out.push('>');
        self.open.push(name.clone());
        if empty {
            self.close(&name);
        }
        self.run = self.out.len();
        Ok(())
    }

    /// Keeps what feed-rs drops: enclosures beside other media, and thumbnails without any.
    fn keep_extras(&mut self, name: &str, text: &str) {
        if self.item.is_none() {
            return;
        }
        let Some(extras) = self
            .extras
            .last_mut()
            .filter(|extras| extras.enclosures.len() < MAX_PER_ITEM)
        else {
            return;
        };
        let value = |wanted: &str| {
            let found = attributes(text)
                .find(|(name, _)| *name == wanted)
                .map(|(_, value)| value)?;
            Some(html_escape::decode_html_entities(found).trim().to_owned())
        };
        match name {
            "enclosure" => {
                if let Some(url) = value("url") {
                    extras.enclosures.push((
                        url,
                        value("type"),
                        value("length").and_then(|length| length.parse().ok()),
                    ));
                }
            }
            "media:thumbnail" if extras.thumbnail.is_none() => extras.thumbnail = value("url"),
            _ => {}
        }
    }

    fn write_attributes(&mut self, text: &str, is_root: bool) -> Result<(), FeedError> {
        let mut seen: HashSet<String> = HashSet::new();
        for (name, value) in attributes(text) {
            if seen.len() >= MAX_XML_ATTRIBUTES {
                return Err(FeedError::TooManyAttributes);
            }
            let known = name
                .split_once(':')
                .is_none_or(|(prefix, _)| self.declared.contains(prefix) || prefix == "xmlns");
            let whole = name.chars().all(is_name) && name.starts_with(is_name_start);
            if !known || !whole || !seen.insert(name.to_owned()) {
                continue;
            }
            let value = match name {
                "xmlns" if is_root => self.root_namespace(value),
                _ if name.starts_with("xmlns:") => Some(namespace(value)),
                "version" if is_root && self.root.as_deref() == Some("rss") => None,
                _ => Some(value),
            };
            let Some(value) = value else { continue };
            self.out.push(' ');
            self.out.push_str(name);
            self.out.push_str("=\"");
            escape(value, true, &mut self.out);
            self.out.push('"');
        }
        if is_root {
            // Every version of RSS but 1.0 is read alike, with or without its number.
            if self.root.as_deref() == Some("rss") {
                self.out.push_str(" version=\"2.0\"");
            }
            for (prefix, uri) in KNOWN_PREFIXES {
                if self.declared.insert((*prefix).to_owned()) {
                    self.out.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
                }
            }
        }
        Ok(())
    }

    /// The default namespace that readers expect of a document with this root.
    fn root_namespace<'v>(&self, value: &'v str) -> Option<&'v str> {
        match self.root.as_deref() {
            Some("rss") => None,
            Some("RDF") => Some(RSS),
            Some("feed" | "entry") => Some(ATOM),
            _ => Some(value),
        }
    }

    /// The name an element is written with.
    fn rename(&self, name: &str) -> String {
        let clean: String = name.chars().filter(|c| is_name(*c)).collect();
        match clean.split_once(':') {
            // Without its declaration "media:title" would be taken for "title".
            Some((prefix, local)) if !self.declared.contains(prefix) && !is_known(prefix) => {
                format!("{prefix}-{}", local.replace(':', "-"))
            }
            Some((prefix, local)) => format!("{prefix}:{}", local.replace(':', "-")),
            None => match clean.as_str() {
                "issued" if self.atom_03 => "published".to_owned(),
                "modified" if self.atom_03 => "updated".to_owned(),
                "pubdate" | "PubDate" => "pubDate".to_owned(),
                _ => clean,
            },
        }
    }

    /// Closes the nearest open element of this name and all inside it; a stray end is dropped.
    fn close(&mut self, name: &str) {
        let Some(at) = self.open.iter().rposition(|open| open == name) else {
            return;
        };
        // An end tag inside an item must not close what is around the item, unless that is what it names.
        while self.open.len() > at {
            if let Some(open) = self.open.pop() {
                self.out.push_str(&format!("</{open}>"));
            }
        }
        if self.item.is_some_and(|(_, depth)| self.open.len() <= depth) {
            self.item = None;
        }
    }

    /// Drops an item that is cut short, since its identity may be missing, and closes the rest.
    fn close_what_is_open(&mut self) {
        if let Some((start, depth)) = self.item.take() {
            self.items -= 1;
            self.extras.truncate(self.items);
            self.out.truncate(start);
            self.open.truncate(depth);
        }
        while let Some(open) = self.open.pop() {
            self.out.push_str(&format!("</{open}>"));
        }
    }
}

fn is_known(prefix: &str) -> bool {
    KNOWN_PREFIXES.iter().any(|(known, _)| *known == prefix)
}

/// Spellings of a namespace that mean the same.
fn namespace(value: &str) -> &str {
    match value.trim().trim_end_matches(['/', '#']) {
        "http://www.w3.org/2005/Atom"
        | "https://www.w3.org/2005/Atom"
        | "http://purl.org/atom/ns" => ATOM,
        "http://search.yahoo.com/mrss" | "https://search.yahoo.com/mrss" => {
            "http://search.yahoo.com/mrss/"
        }
        "http://purl.org/rss/1.0/modules/content" => "http://purl.org/rss/1.0/modules/content/",
        "http://purl.org/dc/elements/1.1" | "http://purl.org/dc/terms" => {
            "http://purl.org/dc/elements/1.1/"
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(text: &str) -> String {
        repair(text).map(|repaired| repaired.xml).unwrap()
    }

    fn inner(text: &str) -> String {
        let whole = fixed(&format!("<r>{text}</r>"));
        let start = whole.find('>').unwrap() + 1;
        whole[start..whole.len() - 4].to_owned()
    }

    #[test]
    fn entities_and_strays_become_characters() {
        assert_eq!(
            inner("a&nbsp;b &mdash; &eacute;"),
            "a\u{a0}b \u{2014} \u{e9}"
        );
        assert_eq!(
            inner("AT&T & co &unknown; &#8217; &#x41; &#146; &#0; &amp;nbsp;"),
            "AT&amp;T &amp; co &amp;unknown; \u{2019} A \u{2019}  &amp;nbsp;"
        );
        assert_eq!(inner("1 < 2 \u{1}\u{8}x"), "1 &lt; 2 x");
        assert_eq!(
            inner("<a b=\"x & <y>\" c=d e>z</a>"),
            "<a b=\"x &amp; &lt;y&gt;\" c=\"d\" e=\"e\">z</a>"
        );
    }

    #[test]
    fn tags_are_balanced_and_prefixes_declared() {
        assert_eq!(inner("<a><br>x</a></b>"), "<a><br>x</br></a>");
        assert_eq!(
            inner("<foo:title>x</foo:title>"),
            "<foo-title>x</foo-title>"
        );
        assert!(inner("<media:title>x</media:title>").starts_with("<media:title>"));
        assert_eq!(inner("<a b='1' b='2' q:z='3'/>"), "<a b=\"1\"></a>");
    }

    #[test]
    fn nothing_can_expand() {
        let bomb = "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY a \"aaaa>\"><!ENTITY b \"&a;&a;\">]><rss>&b;</rss>";
        let xml = fixed(bomb);
        assert!(xml.contains("&amp;b;") && !xml.contains("ENTITY"), "{xml}");
        assert!(!fixed("<!DOCTYPE r SYSTEM 'file:///etc/passwd'><r>&x;</r>").contains("passwd"));
    }

    #[test]
    fn bounds_are_kept() {
        assert_eq!(repair(&"<a>".repeat(65)).err(), Some(FeedError::TooDeep));
        let many: String = (0..201).map(|n| format!(" a{n}='1'")).collect();
        assert_eq!(
            repair(&format!("<r{many}/>")).err(),
            Some(FeedError::TooManyAttributes)
        );
        assert!(matches!(
            repair(&format!("<r {}", "x".repeat(70_000))),
            Err(FeedError::Malformed { .. })
        ));
    }

    #[test]
    fn a_document_that_is_cut_short_keeps_its_whole_items() {
        let cut = repair("<rss><channel><item><guid>1</guid></item><item><title>ha").unwrap();
        assert!(cut.cut_short);
        assert!(
            cut.xml
                .ends_with("<item><guid>1</guid></item></channel></rss>"),
            "{}",
            cut.xml
        );
    }
}
