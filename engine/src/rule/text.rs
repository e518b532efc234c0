//! Rule documents as text: YAML or JSON in, YAML out.
//!
//! Owns sizes, nesting and the map from JSON pointers to places in the text.
//! Must not know the grammar of rules. Invariant: a text that is accepted has
//! one meaning only: no key twice, no tag, no number that JSON cannot hold.

use std::collections::HashMap;

use serde_json::Value;
use so_model::{problem::FieldError, rule::RuleDocument};

use super::{json, yaml};

/// Largest document: far beyond any rule written by hand, small enough to
/// check in a request.
pub const MAX_BYTES: usize = 256 * 1024;

/// Deepest nesting; eight levels of steps with conditions need about 30.
pub const MAX_DEPTH: usize = 40;

/// Most values, aliases expanded; bounds what a short text can blow up to.
pub const MAX_NODES: usize = 20_000;

/// Most mistakes listed in one answer.
pub const MAX_ERRORS: usize = 50;

/// How a document is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JSON, strictly.
    Json,
    /// YAML 1.2, core schema.
    Yaml,
}

/// A line and a column, both from 1, counted in characters.
pub type Place = (u32, u32);

/// How a text is written in YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Quoted,
    /// Behind `|`: line for line.
    Literal,
    /// Behind `>`: lines are joined.
    Folded,
}

/// Where in the text each value stands.
#[derive(Debug, Clone, Default)]
pub struct Positions {
    places: HashMap<String, Place>,
    /// Where scalars themselves begin; the places of keys are those of their names.
    scalars: HashMap<String, (Place, Style)>,
}

impl Positions {
    pub(super) fn insert(&mut self, pointer: &str, place: Place) {
        self.places.insert(pointer.to_owned(), place);
    }

    /// The place of a value: its key in a map, its first character elsewhere.
    /// A pointer to something absent gives the place of what it would be in.
    pub fn get(&self, pointer: &str) -> Option<Place> {
        let mut rest = pointer;
        loop {
            if let Some(place) = self.places.get(rest) {
                return Some(*place);
            }
            rest = &rest[..rest.rfind('/')?];
        }
    }

    pub(super) fn written(&mut self, pointer: &str, place: Place, style: Style) {
        self.scalars.insert(pointer.to_owned(), (place, style));
    }

    /// Fills in the place of each error that has none of its own. A place inside
    /// a script becomes the one in the text, as near as its way of writing lets.
    pub fn annotate(&self, errors: &mut [FieldError]) {
        for error in errors {
            let found = match error.line {
                None => self.get(&error.pointer),
                Some(line) => self.inside(&error.pointer, line, error.column),
            };
            if let Some((line, column)) = found {
                error.line = Some(line);
                error.column = Some(column);
            }
        }
    }

    fn inside(&self, pointer: &str, line: u32, column: Option<u32>) -> Option<Place> {
        let (start, style) = *self.scalars.get(pointer)?;
        let column = column.unwrap_or(1);
        Some(match style {
            Style::Plain if line == 1 => (start.0, start.1 + column - 1),
            // Behind the quote; what is escaped moves it a little.
            Style::Quoted if line == 1 => (start.0, start.1 + column),
            // The parser gives the place of the first line's text.
            Style::Literal => (start.0 + line - 1, start.1 + column - 1),
            // Lines are joined by rules of their own.
            _ => start,
        })
    }
}

/// Reads a document. Errors carry line and column.
pub fn parse(text: &str, format: Format) -> Result<(Value, Positions), Vec<FieldError>> {
    if text.len() > MAX_BYTES {
        return Err(vec![
            FieldError::new("", format!("the document is {} bytes long", text.len()))
                .expected(format!("at most {MAX_BYTES} bytes")),
        ]);
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match format {
        Format::Json => json::read(text),
        Format::Yaml => yaml::read(text),
    }
}

/// Writes a document for people, keys in the order of the grammar.
pub fn to_yaml(document: &RuleDocument) -> Result<String, serde_yaml_ng::Error> {
    let value = serde_json::to_value(document)
        .map_err(<serde_yaml_ng::Error as serde::ser::Error>::custom)?;
    serde_yaml_ng::to_string(&value)
}

/// An error at a place in the text.
pub(super) fn at(pointer: &str, place: Place, reason: impl Into<String>) -> FieldError {
    let mut error = FieldError::new(pointer, reason);
    error.line = Some(place.0);
    error.column = Some(place.1);
    error
}

/// Appends a segment to a JSON pointer.
pub(crate) fn join(pointer: &str, segment: impl std::fmt::Display) -> String {
    let segment = segment.to_string();
    if segment.contains(['~', '/']) {
        let escaped = segment.replace('~', "~0").replace('/', "~1");
        format!("{pointer}/{escaped}")
    } else {
        format!("{pointer}/{segment}")
    }
}

/// What a reader may still use.
pub(super) struct Budget {
    nodes: usize,
}

impl Budget {
    pub fn new() -> Self {
        Self { nodes: MAX_NODES }
    }

    /// Takes `nodes` values at a depth, or says why not.
    pub fn take(
        &mut self,
        nodes: usize,
        depth: usize,
        pointer: &str,
        place: Place,
    ) -> Result<(), FieldError> {
        if depth > MAX_DEPTH {
            return Err(at(pointer, place, "the document is nested too deeply")
                .expected(format!("at most {MAX_DEPTH} levels")));
        }
        self.nodes = self.nodes.checked_sub(nodes).ok_or_else(|| {
            at(pointer, place, "the document has too many values")
                .expected(format!("at most {MAX_NODES} values, aliases expanded"))
        })?;
        Ok(())
    }
}
