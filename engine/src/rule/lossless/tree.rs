//! Where in a YAML text each value stands, by bytes.
//!
//! Invariant: a value's range holds the value and nothing that stands after it: no comment, no blank line.

use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

use super::Unfit;

/// A text's values.
pub(super) struct Tree {
    pub root: Node,
}

/// A value.
#[derive(Debug)]
pub(super) struct Node {
    pub start: usize,
    pub end: usize,
    pub body: Body,
}

#[derive(Debug)]
pub(super) enum Body {
    Scalar(ScalarStyle),
    List { is_flow: bool, items: Vec<Node> },
    Map { is_flow: bool, entries: Vec<Entry> },
}

/// A key with its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub key: String,
    pub start: usize,
    /// Behind the colon.
    pub colon: usize,
    pub value: Node,
}

impl Node {
    /// It is written between brackets.
    pub fn is_flow(&self) -> bool {
        match &self.body {
            Body::Scalar(_) => false,
            Body::List { is_flow, .. } | Body::Map { is_flow, .. } => *is_flow,
        }
    }
}

impl Tree {
    pub fn read(text: &str) -> Result<Self, Unfit> {
        let mut bytes: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        bytes.push(text.len());
        let mut reader = Reader {
            text,
            parser: Parser::new_from_str(text),
            bytes,
        };
        loop {
            match reader.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, ..) => {}
                (Event::StreamEnd | Event::DocumentEnd, ..) => {
                    return Err(Unfit("the document is empty".into()));
                }
                (event, start, end) => {
                    let root = reader.node(event, start, end, 0)?;
                    return Ok(Self { root });
                }
            }
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    parser: Parser<'a, StrInput<'a>>,
    bytes: Vec<usize>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize, usize), Unfit> {
        let last = self.text.len();
        let byte = |index: usize| self.bytes.get(index).copied().unwrap_or(last);
        match self.parser.next_event() {
            Some(Ok((event, span))) => {
                Ok((event, byte(span.start.index()), byte(span.end.index())))
            }
            Some(Err(error)) => Err(Unfit(error.info().to_owned())),
            None => Ok((Event::StreamEnd, last, last)),
        }
    }

    /// `floor` is where the value may begin at the earliest.
    fn node(
        &mut self,
        event: Event<'a>,
        start: usize,
        end: usize,
        floor: usize,
    ) -> Result<Node, Unfit> {
        match event {
            Event::Scalar(_, style, 0, None) => Ok(self.scalar(style, start, end, floor)),
            Event::SequenceStart(0, None) => self.list(start),
            Event::MappingStart(0, None) => self.map(start),
            _ => Err(Unfit("it has anchors, aliases or tags".into())),
        }
    }

    fn list(&mut self, begin: usize) -> Result<Node, Unfit> {
        let is_flow = self.text[begin..].starts_with('[');
        let mut items: Vec<Node> = Vec::new();
        let mut last = begin;
        loop {
            let (event, start, end) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok(Node {
                    start: begin,
                    end: if is_flow {
                        self.closed(start, end, ']')
                    } else {
                        last
                    },
                    body: Body::List { is_flow, items },
                });
            }
            let item = self.node(event, start, end, last)?;
            last = item.end;
            items.push(item);
        }
    }

    fn map(&mut self, begin: usize) -> Result<Node, Unfit> {
        let is_flow = self.text[begin..].starts_with('{');
        let mut entries: Vec<Entry> = Vec::new();
        let mut last = begin;
        loop {
            let (event, start, end) = self.next()?;
            let key = match event {
                Event::MappingEnd => {
                    return Ok(Node {
                        start: begin,
                        end: if is_flow {
                            self.closed(start, end, '}')
                        } else {
                            last
                        },
                        body: Body::Map { is_flow, entries },
                    });
                }
                Event::Scalar(key, ..) => key.into_owned(),
                _ => return Err(Unfit("a key is no text".into())),
            };
            let colon = match self.text[end..].find(':') {
                Some(colon) if self.text[end..end + colon].trim().is_empty() => end + colon + 1,
                _ => return Err(Unfit(format!("the key {key} has no colon"))),
            };
            let (event, value_start, value_end) = self.next()?;
            let value = self.node(event, value_start, value_end, colon)?;
            last = value.end.max(colon);
            entries.push(Entry {
                key,
                start,
                colon,
                value,
            });
        }
    }

    /// Behind a closing bracket; the parser may go on over what follows.
    fn closed(&self, start: usize, end: usize, bracket: char) -> usize {
        match self.text[start..].starts_with(bracket) {
            true => start + 1,
            false => end,
        }
    }

    fn scalar(&self, style: ScalarStyle, start: usize, end: usize, floor: usize) -> Node {
        let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
        let (mut start, mut end) = (start.max(floor), end.max(floor));
        if is_block {
            // The parser begins at the first line of the text; the mark before it belongs to the value.
            let mark = self.text[floor..].find(['|', '>']).map(|at| floor + at);
            start = mark.unwrap_or(start).min(start);
        }
        if start >= end || self.text[start..end].trim().is_empty() {
            (start, end) = (floor, floor);
        }
        end = start + own_length(&self.text[start..end], style);
        Node {
            start,
            end,
            body: Body::Scalar(style),
        }
    }
}

/// How much of what the parser gives is the scalar itself: it may go on to the next one, over comments.
fn own_length(text: &str, style: ScalarStyle) -> usize {
    let quote = match style {
        ScalarStyle::SingleQuoted => '\'',
        ScalarStyle::DoubleQuoted => '"',
        ScalarStyle::Plain => {
            let comment = text
                .char_indices()
                .zip(text.chars().skip(1))
                .find(|((_, c), next)| c.is_whitespace() && *next == '#');
            let end = comment.map_or(text.len(), |((at, _), _)| at);
            return text[..end].trim_end().len();
        }
        _ => return text.trim_end().len(),
    };
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        if c == '\\' && quote == '"' {
            chars.next();
        } else if c == quote {
            let is_doubled = quote == '\'' && chars.peek().is_some_and(|(_, c)| *c == '\'');
            if !is_doubled {
                return at + 1;
            }
            chars.next();
        }
    }
    text.trim_end().len()
}
