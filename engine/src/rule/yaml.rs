//! YAML 1.2 with places, read from parser events.
//!
//! Owns which parts of YAML a rule may use: the core schema, anchors and
//! aliases within a budget; no tags, no merge keys, one document. Must not know
//! rules. Invariant: work and memory are bounded by the budget of values, also
//! for aliases of aliases.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span, StrInput};
use serde_json::{Map, Number, Value};
use so_model::problem::FieldError;

use super::text::{Budget, MAX_ERRORS, Place, Positions, Style, at, join};

/// Reads a YAML text.
pub(super) fn read(text: &str) -> Result<(Value, Positions), Vec<FieldError>> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        budget: Budget::new(),
        anchors: HashMap::new(),
        positions: Positions::default(),
        errors: Vec::new(),
    };
    match reader.document() {
        Ok(value) if reader.errors.is_empty() => Ok((value, reader.positions)),
        Ok(_) => Err(reader.errors),
        Err(error) => {
            reader.errors.push(error);
            Err(reader.errors)
        }
    }
}

/// A value that an alias may repeat, and what a copy costs.
struct Anchor {
    value: Value,
    nodes: usize,
    height: usize,
}

/// A value just read.
struct Read {
    value: Value,
    nodes: usize,
    height: usize,
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    budget: Budget,
    anchors: HashMap<usize, Anchor>,
    positions: Positions,
    errors: Vec<FieldError>,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, Place), FieldError> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, start(&span))),
            Some(Err(error)) => {
                let place = place(error.marker().line(), error.marker().col());
                Err(at("", place, format!("not valid YAML: {}", error.info())))
            }
            None => Ok((Event::StreamEnd, (1, 1))),
        }
    }

    fn document(&mut self) -> Result<Value, FieldError> {
        loop {
            match self.next()? {
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (Event::StreamEnd | Event::DocumentEnd, place) => {
                    return Err(at("", place, "the document is empty").expected("a rule"));
                }
                (event, place) => {
                    self.positions.insert("", place);
                    let read = self.value(event, place, "", 1)?;
                    return self.finish(read.value);
                }
            }
        }
    }

    fn finish(&mut self, value: Value) -> Result<Value, FieldError> {
        loop {
            match self.next()? {
                (Event::StreamEnd, _) => return Ok(value),
                (Event::DocumentEnd | Event::Nothing, _) => {}
                (_, place) => {
                    return Err(at("", place, "a second document begins here")
                        .expected("one rule in one document"));
                }
            }
        }
    }

    fn value(
        &mut self,
        event: Event<'a>,
        place: Place,
        pointer: &str,
        depth: usize,
    ) -> Result<Read, FieldError> {
        self.budget.take(1, depth, pointer, place)?;
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag.as_ref()),
            _ => (0, None),
        };
        if let Some(tag) = tag {
            let name = format!("{}{}", tag.handle, tag.suffix);
            return Err(
                at(pointer, place, format!("the tag `{name}` is not allowed"))
                    .expected("a plain value; quote a text to keep it a text"),
            );
        }
        let read = match event {
            Event::Scalar(text, style, _, _) => {
                self.positions.written(pointer, place, style_of(style));
                leaf(scalar(&text, style, pointer, place)?)
            }
            Event::SequenceStart(..) => self.sequence(pointer, depth)?,
            Event::MappingStart(..) => self.mapping(pointer, depth)?,
            Event::Alias(id) => self.alias(id, pointer, depth, place)?,
            _ => return Err(at(pointer, place, "a value is missing here")),
        };
        if anchor != 0 {
            let kept = Anchor {
                value: read.value.clone(),
                nodes: read.nodes,
                height: read.height,
            };
            // The copy kept for aliases is paid for as well.
            self.budget.take(read.nodes, depth, pointer, place)?;
            self.anchors.insert(anchor, kept);
        }
        Ok(read)
    }

    fn alias(
        &mut self,
        id: usize,
        pointer: &str,
        depth: usize,
        place: Place,
    ) -> Result<Read, FieldError> {
        let Some(anchor) = self.anchors.get(&id) else {
            return Err(at(
                pointer,
                place,
                "this alias stands inside its own anchor",
            ));
        };
        let (nodes, height) = (anchor.nodes, anchor.height);
        self.budget
            .take(nodes, depth + height - 1, pointer, place)?;
        Ok(Read {
            value: anchor.value.clone(),
            nodes,
            height,
        })
    }

    fn sequence(&mut self, pointer: &str, depth: usize) -> Result<Read, FieldError> {
        let mut items = Vec::new();
        let (mut nodes, mut height) = (1, 1);
        loop {
            let (event, place) = self.next()?;
            if event == Event::SequenceEnd {
                break;
            }
            let inner = join(pointer, items.len());
            self.positions.insert(&inner, place);
            let read = self.value(event, place, &inner, depth + 1)?;
            nodes += read.nodes;
            height = height.max(read.height + 1);
            items.push(read.value);
        }
        Ok(Read {
            value: Value::Array(items),
            nodes,
            height,
        })
    }

    fn mapping(&mut self, pointer: &str, depth: usize) -> Result<Read, FieldError> {
        let mut map = Map::new();
        let (mut nodes, mut height) = (1, 1);
        loop {
            let (event, place) = self.next()?;
            let key = match event {
                Event::MappingEnd => break,
                Event::Scalar(text, _, _, None) => text.into_owned(),
                _ => {
                    return Err(at(pointer, place, "a key must be a text")
                        .expected("a name followed by a colon"));
                }
            };
            if key == "<<" {
                return Err(at(pointer, place, "merge keys are not allowed")
                    .expected("the keys themselves"));
            }
            let inner = join(pointer, &key);
            self.positions.insert(&inner, place);
            let (event, value_place) = self.next()?;
            let read = self.value(event, value_place, &inner, depth + 1)?;
            nodes += read.nodes;
            height = height.max(read.height + 1);
            if map.contains_key(&key) && self.errors.len() < MAX_ERRORS {
                let reason = format!("key `{key}` stands here twice");
                self.errors
                    .push(at(&inner, place, reason).expected("each key once"));
            }
            map.insert(key, read.value);
        }
        Ok(Read {
            value: Value::Object(map),
            nodes,
            height,
        })
    }
}

fn style_of(style: ScalarStyle) -> Style {
    match style {
        ScalarStyle::Plain => Style::Plain,
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
        ScalarStyle::Literal => Style::Literal,
        ScalarStyle::Folded => Style::Folded,
    }
}

fn leaf(value: Value) -> Read {
    Read {
        value,
        nodes: 1,
        height: 1,
    }
}

fn start(span: &Span) -> Place {
    place(span.start.line(), span.start.col())
}

/// The parser counts columns from 0.
fn place(line: usize, column: usize) -> Place {
    (
        u32::try_from(line.max(1)).unwrap_or(u32::MAX),
        u32::try_from(column + 1).unwrap_or(u32::MAX),
    )
}

/// What a scalar means in the core schema of YAML 1.2. Digits with leading
/// zeros stay a text: as a number they would lose what was written.
fn scalar(
    text: &str,
    style: ScalarStyle,
    pointer: &str,
    place: Place,
) -> Result<Value, FieldError> {
    if style != ScalarStyle::Plain {
        return Ok(Value::String(text.to_owned()));
    }
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        _ => match number(text) {
            Some(Ok(number)) => Value::Number(number),
            Some(Err(())) => {
                return Err(at(
                    pointer,
                    place,
                    format!("the number `{text}` cannot be kept exactly"),
                )
                .expected("a number of at most 64 bits, or a text in quotes"));
            }
            None => Value::String(text.to_owned()),
        },
    })
}

/// A number of the core schema; `Err` when JSON cannot hold it.
fn number(text: &str) -> Option<Result<Number, ()>> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if matches!(digits, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Some(Err(()));
    }
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(rest) = text.strip_prefix(prefix) {
            let all = !rest.is_empty() && rest.chars().all(|c| c.is_digit(radix));
            return all.then(|| {
                u64::from_str_radix(rest, radix)
                    .map(Number::from)
                    .map_err(drop)
            });
        }
    }
    let leading = digits.strip_prefix('0').unwrap_or_default();
    if leading.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        let parsed = if negative {
            text.parse::<i64>().map(Number::from)
        } else {
            digits.parse::<u64>().map(Number::from)
        };
        return Some(parsed.map_err(drop));
    }
    is_float(digits).then(|| text.parse().ok().and_then(Number::from_f64).ok_or(()))
}

fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|part| {
            let bare = part.strip_prefix(['-', '+']).unwrap_or(part);
            !bare.is_empty() && digits(bare)
        })
}
