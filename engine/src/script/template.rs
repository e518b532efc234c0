//! Texts with `{{ expression }}` pieces, and whole parameter objects of such texts.
//!
//! Owns the template syntax; must not know what parameters mean. `{{{{` stands for a literal
//! `{{`; `}}` outside a piece is itself. Invariant: a rendered value is bounded in size, and every
//! error names a place in the text the author wrote.

use std::time::Instant;

use serde_json::{Map, Value};

use super::analysis::{Finding, analyse};
use super::context::PreparedContext;
use super::error::{ScriptError, ScriptErrorKind};
use super::sandbox::{CompiledScript, ScriptEngine};
use super::shape::Shape;

/// Longest template text.
const MAX_TEXT_BYTES: usize = 64 * 1024;

/// Pieces in one text.
const MAX_PIECES: usize = 100;

/// Longest rendered text.
const MAX_OUTPUT_BYTES: usize = 256 * 1024;

/// Nesting of a parameter object.
const MAX_TREE_DEPTH: usize = 32;

/// Values in a parameter object.
const MAX_TREE_NODES: usize = 5_000;

/// Bytes of a rendered parameter object.
const MAX_TREE_BYTES: usize = 1024 * 1024;

#[derive(Clone)]
struct Piece {
    script: CompiledScript,
    line: u32,
    column: u32,
}

#[derive(Clone)]
enum Part {
    Literal(String),
    Piece(Piece),
}

/// A compiled template.
#[derive(Clone)]
pub struct Template {
    engine: ScriptEngine,
    parts: Vec<Part>,
    salt: u64,
}

impl std::fmt::Debug for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Template")
            .field("parts", &self.parts.len())
            .finish_non_exhaustive()
    }
}

impl Template {
    /// Compiles a text; positions in errors are those of the text.
    pub fn compile(engine: &ScriptEngine, text: &str) -> Result<Self, ScriptError> {
        Self::compile_salted(engine, text, 0)
    }

    fn compile_salted(engine: &ScriptEngine, text: &str, salt: u64) -> Result<Self, ScriptError> {
        if text.len() > MAX_TEXT_BYTES {
            return Err(ScriptError::new(
                ScriptErrorKind::TooLarge,
                format!(
                    "template has {} bytes, at most {MAX_TEXT_BYTES} are read",
                    text.len()
                ),
            ));
        }
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        let mut pieces = 0;
        while let Some(found) = text[at..].find("{{") {
            let open = at + found;
            literal.push_str(&text[at..open]);
            if text[open..].starts_with("{{{{") {
                literal.push_str("{{");
                at = open + 4;
                continue;
            }
            pieces += 1;
            if pieces > MAX_PIECES {
                let error = ScriptError::new(
                    ScriptErrorKind::TooLarge,
                    format!("template has more than {MAX_PIECES} pieces"),
                );
                return Err(place(error, text, open));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            let start = open + 2;
            let end = start
                + piece_end(&text[start..]).ok_or_else(|| {
                    place(
                        ScriptError::new(ScriptErrorKind::Parse, "`{{` is not closed by `}}`"),
                        text,
                        open,
                    )
                })?;
            parts.push(Part::Piece(compile_piece(engine, text, start, end)?));
            at = end + 2;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self {
            engine: engine.clone(),
            parts,
            salt,
        })
    }

    /// The compiled pieces, for analysis.
    pub fn scripts(&self) -> impl Iterator<Item = &CompiledScript> {
        self.parts.iter().filter_map(|part| match part {
            Part::Piece(piece) => Some(&piece.script),
            Part::Literal(_) => None,
        })
    }

    /// The piece, when the text is one and nothing else: then its value keeps its type.
    pub fn only(&self) -> Option<&CompiledScript> {
        match self.parts.as_slice() {
            [Part::Piece(piece)] => Some(&piece.script),
            _ => None,
        }
    }

    /// Checks every piece against the shape of `event.data`; places are those of the text.
    pub fn analyse(&self, data: &Shape) -> Vec<Finding> {
        let mut found = Vec::new();
        for part in &self.parts {
            let Part::Piece(piece) = part else {
                continue;
            };
            found.extend(analyse(&piece.script, data).into_iter().map(|mut finding| {
                let own = (finding.line, finding.column);
                (finding.line, finding.column) = moved(own, piece.line, piece.column);
                finding
            }));
        }
        found
    }

    /// Renders: the value itself when the text is one piece, else a text.
    pub fn render(&self, context: &PreparedContext) -> Result<Value, ScriptError> {
        self.render_since(context, Instant::now())
    }

    /// All pieces share one deadline, or many pieces would multiply it.
    fn render_since(
        &self,
        context: &PreparedContext,
        started: Instant,
    ) -> Result<Value, ScriptError> {
        if let [Part::Piece(piece)] = self.parts.as_slice() {
            return self.evaluate(piece, 0, context, started);
        }
        let mut out = String::new();
        for (index, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::Piece(piece) => match self.evaluate(piece, index as u64, context, started)? {
                    Value::Null => {}
                    Value::String(text) => out.push_str(&text),
                    other => out.push_str(&other.to_string()),
                },
            }
            if out.len() > MAX_OUTPUT_BYTES {
                return Err(ScriptError::new(
                    ScriptErrorKind::TooLarge,
                    format!("rendered text is longer than {MAX_OUTPUT_BYTES} bytes"),
                ));
            }
        }
        Ok(Value::String(out))
    }

    fn evaluate(
        &self,
        piece: &Piece,
        index: u64,
        context: &PreparedContext,
        started: Instant,
    ) -> Result<Value, ScriptError> {
        if started.elapsed() > self.engine.deadline() {
            let error =
                ScriptError::new(ScriptErrorKind::Deadline, "template did not finish in time");
            return Err(shift(error, piece.line, piece.column));
        }
        self.engine
            .execute(&piece.script, context, self.salt.wrapping_add(index))
            .map(|outcome| outcome.value)
            .map_err(|error| shift(error, piece.line, piece.column))
    }
}

fn compile_piece(
    engine: &ScriptEngine,
    text: &str,
    start: usize,
    end: usize,
) -> Result<Piece, ScriptError> {
    let (line, column) = position(text, start);
    let script = engine
        .compile_expression(&text[start..end])
        .map_err(|error| shift(error, line, column))?;
    Ok(Piece {
        script,
        line,
        column,
    })
}

/// Where the piece ends: the first `}}` outside texts and braces of the expression itself.
fn piece_end(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut depth = 0_usize;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'{' => depth += 1,
            b'}' if depth == 0 => {
                return (bytes.get(at + 1) == Some(&b'}')).then_some(at);
            }
            b'}' => depth -= 1,
            quote @ (b'"' | b'\'' | b'`') => {
                at += 1;
                while at < bytes.len() && bytes[at] != quote {
                    // Backticks have no escapes.
                    at += if bytes[at] == b'\\' && quote != b'`' {
                        2
                    } else {
                        1
                    };
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// Line and column, from 1, of a byte offset.
fn position(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (number(line), number(column))
}

fn place(mut error: ScriptError, text: &str, offset: usize) -> ScriptError {
    let (line, column) = position(text, offset);
    error.line = Some(line);
    error.column = Some(column);
    error
}

/// Moves a place inside a piece to its place in the whole text.
fn shift(mut error: ScriptError, line: u32, column: u32) -> ScriptError {
    (error.line, error.column) = moved((error.line, error.column), line, column);
    error
}

/// Only the first line of a piece starts to the right; no place at all means its start.
fn moved(own: (Option<u32>, Option<u32>), line: u32, column: u32) -> (Option<u32>, Option<u32>) {
    match own {
        (Some(1), Some(inner)) => (Some(line), Some(column + inner - 1)),
        (Some(inner), rest) => (Some(line + inner - 1), rest),
        (None, _) => (Some(line), Some(column)),
    }
}

#[derive(Debug, Clone)]
enum Node {
    Fixed(Value),
    Text(Box<Template>, String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// A parameter object whose texts are templates.
#[derive(Debug, Clone)]
pub struct TemplateTree {
    root: Node,
}

impl TemplateTree {
    /// Compiles every text in the object; errors carry its JSON pointer. Keys are kept as they are.
    pub fn compile(engine: &ScriptEngine, parameters: &Value) -> Result<Self, ScriptError> {
        let mut nodes = 0;
        let root = compile_node(engine, parameters, &mut String::new(), 0, &mut nodes)?;
        Ok(Self { root })
    }

    /// The compiled pieces with the JSON pointer of their text, for analysis.
    pub fn scripts(&self) -> Vec<(&str, &CompiledScript)> {
        let mut texts = Vec::new();
        collect(&self.root, &mut texts);
        texts
            .into_iter()
            .flat_map(|(pointer, text)| text.scripts().map(move |script| (pointer, script)))
            .collect()
    }

    /// Checks every text against the shape of `event.data`, with the JSON pointer of the text.
    pub fn analyse(&self, data: &Shape) -> Vec<(String, Finding)> {
        let mut texts = Vec::new();
        collect(&self.root, &mut texts);
        texts
            .into_iter()
            .flat_map(|(pointer, text)| {
                let found = text.analyse(data).into_iter();
                found.map(move |finding| (pointer.to_owned(), finding))
            })
            .collect()
    }

    /// Renders every text. All of them share one deadline.
    pub fn render(&self, context: &PreparedContext) -> Result<Value, ScriptError> {
        let mut left = MAX_TREE_BYTES;
        render_node(&self.root, context, Instant::now(), &mut left)
    }
}

fn compile_node(
    engine: &ScriptEngine,
    value: &Value,
    pointer: &mut String,
    depth: usize,
    nodes: &mut usize,
) -> Result<Node, ScriptError> {
    *nodes += 1;
    if depth > MAX_TREE_DEPTH || *nodes > MAX_TREE_NODES {
        let (kind, message) = if depth > MAX_TREE_DEPTH {
            (
                ScriptErrorKind::TooDeep,
                format!("parameters are nested deeper than {MAX_TREE_DEPTH} levels"),
            )
        } else {
            (
                ScriptErrorKind::TooLarge,
                format!("parameters have more than {MAX_TREE_NODES} values"),
            )
        };
        return Err(point(ScriptError::new(kind, message), pointer));
    }
    match value {
        Value::String(text) if text.contains("{{") => {
            let template = Template::compile_salted(engine, text, (*nodes as u64) << 16)
                .map_err(|error| point(error, pointer))?;
            Ok(Node::Text(Box::new(template), pointer.clone()))
        }
        Value::Array(items) => {
            let compiled: Result<Vec<Node>, ScriptError> = items
                .iter()
                .enumerate()
                .map(|(index, item)| {
                    within(pointer, &index.to_string(), |pointer| {
                        compile_node(engine, item, pointer, depth + 1, nodes)
                    })
                })
                .collect();
            Ok(Node::List(compiled?))
        }
        Value::Object(fields) => {
            let compiled: Result<Vec<(String, Node)>, ScriptError> = fields
                .iter()
                .map(|(key, field)| {
                    let step = key.replace('~', "~0").replace('/', "~1");
                    let node = within(pointer, &step, |pointer| {
                        compile_node(engine, field, pointer, depth + 1, nodes)
                    })?;
                    Ok((key.clone(), node))
                })
                .collect();
            Ok(Node::Object(compiled?))
        }
        fixed => Ok(Node::Fixed(fixed.clone())),
    }
}

/// Runs with one more step on the pointer.
fn within<T>(pointer: &mut String, step: &str, work: impl FnOnce(&mut String) -> T) -> T {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(step);
    let done = work(pointer);
    pointer.truncate(length);
    done
}

fn point(mut error: ScriptError, pointer: &str) -> ScriptError {
    error.pointer = Some(pointer.to_owned());
    error
}

fn render_node(
    node: &Node,
    context: &PreparedContext,
    started: Instant,
    left: &mut usize,
) -> Result<Value, ScriptError> {
    match node {
        Node::Fixed(value) => Ok(value.clone()),
        Node::Text(template, pointer) => {
            let value = template
                .render_since(context, started)
                .map_err(|error| point(error, pointer))?;
            let size = match &value {
                Value::String(text) => text.len(),
                Value::Array(_) | Value::Object(_) => value.to_string().len(),
                _ => 8,
            };
            *left = left.checked_sub(size).ok_or_else(|| {
                let message = format!("rendered parameters are larger than {MAX_TREE_BYTES} bytes");
                point(
                    ScriptError::new(ScriptErrorKind::TooLarge, message),
                    pointer,
                )
            })?;
            Ok(value)
        }
        Node::List(items) => {
            let rendered: Result<Vec<Value>, ScriptError> = items
                .iter()
                .map(|item| render_node(item, context, started, left))
                .collect();
            Ok(Value::Array(rendered?))
        }
        Node::Object(fields) => {
            let mut rendered = Map::new();
            for (key, field) in fields {
                rendered.insert(key.clone(), render_node(field, context, started, left)?);
            }
            Ok(Value::Object(rendered))
        }
    }
}

fn collect<'a>(node: &'a Node, found: &mut Vec<(&'a str, &'a Template)>) {
    match node {
        Node::Fixed(_) => {}
        Node::Text(template, pointer) => found.push((pointer, template)),
        Node::List(items) => items.iter().for_each(|item| collect(item, found)),
        Node::Object(fields) => fields.iter().for_each(|(_, field)| collect(field, found)),
    }
}
