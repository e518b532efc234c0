//! Scripts and templates inside documents.
//!
//! Owns how a script's mistake becomes a field error with its place inside the
//! script. Must not know Rhai. Invariant: a text is compiled here exactly as it
//! will be when the rule runs.

use serde_json::{Map, Value};
use so_model::problem::{FieldError, Fix};

use crate::script::{
    CompiledScript, Finding, FindingKind, ScriptError, ScriptErrorKind, Shape, Template,
    TemplateTree, analyse,
};

use super::{
    analysis::codes::{SCRIPT_BROKEN, SCRIPT_UNKNOWN_FUNCTION},
    check::Review,
    text::join,
};

/// Marks a parameter as a whole script instead of a template, in its schema.
const SCRIPT_FORMAT: &str = "rhai";

/// Parameters of a kind that hold whole scripts.
pub(crate) fn script_params(schema: &Value) -> Vec<&str> {
    let properties = schema["properties"].as_object().into_iter().flatten();
    properties
        .filter(|(_, property)| property["format"] == SCRIPT_FORMAT)
        .map(|(name, _)| name.as_str())
        .collect()
}

/// A script's error at a place of the document.
pub(crate) fn script_error(pointer: &str, error: &ScriptError) -> FieldError {
    let pointer = match &error.pointer {
        Some(inner) => format!("{pointer}{inner}"),
        None => pointer.to_owned(),
    };
    let mut told = FieldError::new(pointer, error.message.clone())
        .expected("a script that compiles")
        .suggest(error.suggestion.clone());
    told.line = error.line;
    told.column = error.column;
    // What a script names of the library is found when it is compiled.
    told.coded(match error.kind {
        ScriptErrorKind::UnknownFunction => SCRIPT_UNKNOWN_FUNCTION.code,
        _ => SCRIPT_BROKEN.code,
    })
}

impl Review<'_> {
    /// Checks an expression.
    pub(super) fn expression(&mut self, source: &str, pointer: &str) {
        match self.scripts.compile_expression(source) {
            Ok(script) => self.functions(&script, &whole(source, pointer)),
            Err(error) => self.error(script_error(pointer, &error)),
        }
    }

    /// Checks a whole script.
    fn script(&mut self, source: &str, pointer: &str) {
        match self.scripts.compile_script(source) {
            Ok(script) => self.functions(&script, &whole(source, pointer)),
            Err(error) => self.error(script_error(pointer, &error)),
        }
    }

    /// Checks a text that may hold pieces.
    pub(super) fn template(&mut self, text: &str, pointer: &str) {
        let template = match Template::compile(self.scripts, text) {
            Ok(template) => template,
            Err(error) => return self.error(script_error(pointer, &error)),
        };
        for (script, start) in scripts_in(&template, text) {
            let at = At {
                pointer,
                text,
                start,
            };
            self.functions(script, &at);
        }
    }

    /// Checks every text of a value.
    pub(super) fn templates(&mut self, value: &Value, pointer: &str) {
        match value {
            Value::String(text) => self.template(text, pointer),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.templates(item, &join(pointer, index));
                }
            }
            Value::Object(map) => {
                for (key, item) in map {
                    self.templates(item, &join(pointer, key));
                }
            }
            _ => {}
        }
    }

    /// Checks a parameter object as a whole: besides its texts, its size.
    pub(super) fn tree(&mut self, value: &Value, pointer: &str) {
        let before = self.errors.len();
        self.templates(value, pointer);
        if self.errors.len() == before
            && !value.is_null()
            && let Err(error) = TemplateTree::compile(self.scripts, value)
        {
            self.error(script_error(pointer, &error));
        }
    }

    /// Checks an action's parameters: scripts where the schema says so, templates elsewhere.
    pub(super) fn action_texts(&mut self, schema: &Value, with: &Value, pointer: &str) {
        let scripts = script_params(schema);
        let mut rest = Map::new();
        for (key, value) in with.as_object().into_iter().flatten() {
            match value.as_str() {
                Some(source) if scripts.contains(&key.as_str()) => {
                    self.script(source, &join(pointer, key));
                }
                _ => {
                    rest.insert(key.clone(), value.clone());
                }
            }
        }
        self.tree(&Value::Object(rest), pointer);
    }

    /// Functions that do not exist; everything else is told by the analysis, which knows the place.
    fn functions(&mut self, script: &CompiledScript, at: &At<'_>) {
        for finding in analyse(script, &Shape::Any) {
            if finding.kind == FindingKind::UnknownFunction {
                let told = finding.told(at).coded(SCRIPT_UNKNOWN_FUNCTION.code);
                self.error(told.expected("a function that scripts have"));
            }
        }
    }
}

/// Where a script stands: in which text of the document, and where in that.
pub(crate) struct At<'a> {
    /// Pointer of the text.
    pub pointer: &'a str,
    /// The whole text.
    pub text: &'a str,
    /// The script's first byte in it.
    pub start: usize,
}

/// Tells a finding of a script at its place in the document.
pub(crate) trait Told {
    /// With the change of the text that mends it, if there is one.
    fn told(self, at: &At<'_>) -> FieldError;
}

impl Told for Finding {
    fn told(self, at: &At<'_>) -> FieldError {
        let mut told = FieldError::new(at.pointer, self.message).suggest(self.suggestion);
        let start = place_of(at.text, at.start);
        (told.line, told.column) = match (self.line, self.column) {
            (Some(1), Some(column)) => (Some(start.0), Some(start.1 + column - 1)),
            (Some(line), column) => (Some(start.0 + line - 1), column),
            (None, _) => (Some(start.0), Some(start.1)),
        };
        told.fix = self.replace.and_then(|replace| {
            let before = at.text.get(..at.start + replace.start)?;
            let rest = at.text.get(at.start + replace.end..)?;
            Some(Box::new(Fix {
                pointer: at.pointer.to_owned(),
                value: Some(Value::String(format!("{before}{}{rest}", replace.with))),
            }))
        });
        told
    }
}

/// The pieces of a text with the first byte of each.
pub(crate) fn scripts_in<'t>(
    template: &'t Template,
    text: &str,
) -> Vec<(&'t CompiledScript, usize)> {
    let mut from = 0;
    let mut found = Vec::new();
    for script in template.scripts() {
        let source = script.source();
        let opening = format!("{{{{{source}");
        let start = text[from..]
            .find(&opening)
            .map_or(from, |found| from + found + 2);
        from = start + source.len();
        found.push((script, start));
    }
    found
}

fn whole<'a>(text: &'a str, pointer: &'a str) -> At<'a> {
    At {
        pointer,
        text,
        start: 0,
    }
}

/// Line and column, from 1, of a byte offset.
fn place_of(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    let number = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    (number(line), number(column))
}
