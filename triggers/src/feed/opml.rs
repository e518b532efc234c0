//! Lists of feeds.
//!
//! Owns reading OPML, the format every feed reader exports. Must not fetch what it lists. Invariant: a bad outline
//! costs itself only and is reported with its number.

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde::{Deserialize, Serialize};

use super::text::{line, web_url};
use super::{FeedError, MAX_FEED_BYTES, MAX_SHORT_CHARS, encoding, repair};

/// Most feeds taken from one list.
pub const MAX_OPML_FEEDS: usize = 5_000;

/// A list as read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opml {
    pub feeds: Vec<OpmlFeed>,
    pub problems: Vec<OpmlProblem>,
}

/// One feed of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpmlFeed {
    pub title: String,
    pub url: String,
    /// The folders around it, outermost first, joined by " / ".
    pub category: Option<String>,
}

/// An outline that could not be used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpmlProblem {
    /// Counts outlines from 1, folders included.
    pub row: usize,
    pub title: String,
    pub problem: String,
}

/// Reads a list of feeds.
pub fn parse_opml(bytes: &[u8]) -> Result<Opml, FeedError> {
    if bytes.len() > MAX_FEED_BYTES {
        return Err(FeedError::TooLarge);
    }
    let text = encoding::decode(bytes, None);
    if text.trim().is_empty() {
        return Err(FeedError::Empty);
    }
    let repaired = repair::repair(&text).map_err(|error| match error {
        FeedError::NotAFeed { what } => FeedError::NotOpml {
            what: format!("it is {what}"),
        },
        other => other,
    })?;
    if repaired.root != "opml" {
        let what = format!("it begins with <{}>", super::text::cap(&repaired.root, 40));
        return Err(FeedError::NotOpml { what });
    }
    let mut list = List::default();
    let mut reader = Reader::from_str(&repaired.xml);
    loop {
        match reader.read_event() {
            Ok(Event::Start(tag)) => list.start(&tag),
            Ok(Event::End(tag)) if tag.local_name().as_ref() == b"outline" => {
                list.folders.pop();
            }
            Ok(Event::Eof) => break,
            Ok(_) => {}
            Err(error) => {
                return Err(FeedError::Malformed {
                    detail: super::text::cap(&error.to_string(), 200),
                });
            }
        }
    }
    if list.row == 0 {
        return Err(FeedError::NotOpml {
            what: "it has no outlines".to_owned(),
        });
    }
    Ok(list.opml)
}

#[derive(Default)]
struct List {
    opml: Opml,
    /// Names of the outlines around; those that are feeds themselves have none.
    folders: Vec<Option<String>>,
    row: usize,
}

impl List {
    fn start(&mut self, tag: &BytesStart<'_>) {
        if tag.local_name().as_ref() != b"outline" {
            return;
        }
        self.row += 1;
        let (mut url, mut title, mut text, mut kind) = (None, None, None, None);
        for attribute in tag.attributes().flatten() {
            let Ok(value) = attribute.normalized_value(XmlVersion::Implicit1_0) else {
                continue;
            };
            let value = value.trim().to_owned();
            match attribute.key.as_ref().to_ascii_lowercase().as_slice() {
                b"xmlurl" => url = Some(value),
                b"title" => title = Some(value),
                b"text" => text = Some(value),
                b"type" => kind = Some(value),
                _ => {}
            }
        }
        let title = title
            .filter(|t| !t.is_empty())
            .or(text)
            .map(|title| line(&title, MAX_SHORT_CHARS))
            .unwrap_or_default();
        let is_feed = url.is_some()
            || kind.is_some_and(|kind| ["rss", "atom"].contains(&kind.to_lowercase().as_str()));
        if is_feed {
            self.feed(title, url.as_deref().unwrap_or_default());
            self.folders.push(None);
        } else {
            self.folders
                .push(Some(title).filter(|title| !title.is_empty()));
        }
    }

    fn feed(&mut self, title: String, url: &str) {
        let problem = if url.is_empty() {
            "it has no address (xmlUrl)".to_owned()
        } else if self.opml.feeds.len() >= MAX_OPML_FEEDS {
            format!(
                "the list has more than {MAX_OPML_FEEDS} feeds; import the rest as a second list"
            )
        } else {
            match web_url(url, None) {
                None => "its address is no http or https URL".to_owned(),
                Some(url) if self.opml.feeds.iter().any(|feed| feed.url == url) => {
                    "its address is in the list twice".to_owned()
                }
                Some(url) => {
                    let category = self
                        .folders
                        .iter()
                        .flatten()
                        .cloned()
                        .collect::<Vec<_>>()
                        .join(" / ");
                    let title = if title.is_empty() { url.clone() } else { title };
                    let category = Some(category).filter(|category| !category.is_empty());
                    self.opml.feeds.push(OpmlFeed {
                        title,
                        url,
                        category,
                    });
                    return;
                }
            }
        };
        if self.opml.problems.len() < MAX_OPML_FEEDS {
            self.opml.problems.push(OpmlProblem {
                row: self.row,
                title,
                problem,
            });
        }
    }
}
