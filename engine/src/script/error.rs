//! What can go wrong in a script, in words an author can act on.
//!
//! Owns the translation of Rhai's errors; knows nothing of rules, runs or the store.
//! Invariant: every error names what was attempted, and a position whenever Rhai knows one.

use std::fmt;

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};
use serde::Serialize;

use super::catalogue;
use super::library::link;
use super::state::Stop;

/// Longest message kept: Rhai quotes script text in messages, and a hostile text is long.
const MAX_MESSAGE_CHARS: usize = 400;

/// Marks the lexer errors that mean "too large" rather than "not understood".
pub(super) const TOO_LARGE_MARK: &str = "script is too large: ";

/// The family an error belongs to, stable for callers and translations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ScriptErrorKind {
    /// The text is not a script of the allowed dialect.
    Parse,
    /// A name that nothing defines.
    UnknownVariable,
    /// A call of something that does not exist (or not for these types).
    UnknownFunction,
    /// A property the value does not have.
    UnknownProperty,
    /// A value of another type than the place needs.
    TypeMismatch,
    /// The script failed by itself: division by zero, `throw`, bad argument.
    Runtime,
    /// The operations budget is used up.
    TooManyOperations,
    /// Nesting of calls, expressions or values beyond the limit.
    TooDeep,
    /// Source, text, list or number of variables beyond the limit.
    TooLarge,
    /// The wall-clock deadline passed.
    Deadline,
    /// The script engine itself failed; the process is unharmed.
    Panicked,
}

/// A refusal or failure of a script, with its place in the source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ScriptError {
    /// The family of the error.
    pub kind: ScriptErrorKind,
    /// What happened, lower case, no full stop.
    pub message: String,
    /// Line in the source, from 1.
    pub line: Option<u32>,
    /// Column in the source, from 1.
    pub column: Option<u32>,
    /// A name the author probably meant, or what to do instead.
    pub suggestion: Option<String>,
    /// JSON pointer of the parameter holding the text, when it is one of many.
    pub pointer: Option<String>,
}

impl fmt::Display for ScriptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(pointer) = &self.pointer {
            write!(f, " in {pointer}")?;
        }
        if let (Some(line), Some(column)) = (self.line, self.column) {
            write!(f, " (line {line}, column {column})")?;
        }
        if let Some(suggestion) = &self.suggestion {
            write!(f, "; try {suggestion}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ScriptError {}

impl ScriptError {
    /// An error without a place.
    pub(super) fn new(kind: ScriptErrorKind, message: impl Into<String>) -> Self {
        let mut message: String = message.into();
        if let Some((cut, _)) = message.char_indices().nth(MAX_MESSAGE_CHARS) {
            message.truncate(cut);
            message.push('…');
        }
        Self {
            kind,
            message,
            line: None,
            column: None,
            suggestion: None,
            pointer: None,
        }
    }

    /// The same error at a place, unless Rhai does not know the place.
    pub(super) fn at(mut self, position: Position) -> Self {
        if let Some(line) = position.line() {
            self.line = u32::try_from(line).ok();
            self.column = position
                .position()
                .or(Some(1))
                .and_then(|column| u32::try_from(column).ok());
        }
        self
    }

    /// The same error with a hint.
    pub(super) fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }

    /// The error of a script that was told to stop.
    pub(super) fn stopped(stop: Stop) -> Self {
        match stop {
            Stop::Operations => Self::new(
                ScriptErrorKind::TooManyOperations,
                "script used up its operations",
            ),
            Stop::Deadline => Self::new(ScriptErrorKind::Deadline, "script did not finish in time"),
        }
    }

    /// The error of a script that Rhai could not parse.
    pub(super) fn from_parse(error: &ParseError) -> Self {
        let position = error.1;
        let made = match &*error.0 {
            ParseErrorType::VariableUndefined(name) => Self::new(
                ScriptErrorKind::UnknownVariable,
                format!("unknown variable `{}`", clip(name)),
            )
            .suggest(catalogue::nearest_variable(name)),
            ParseErrorType::ExprTooDeep => Self::new(
                ScriptErrorKind::TooDeep,
                "expression is nested too deeply".to_owned(),
            ),
            ParseErrorType::LiteralTooLarge(what, max) => Self::new(
                ScriptErrorKind::TooLarge,
                format!("{} in the script is larger than {max}", what.to_lowercase()),
            ),
            ParseErrorType::TooManyFunctions => Self::new(
                ScriptErrorKind::TooLarge,
                "script defines too many functions",
            ),
            ParseErrorType::BadInput(LexError::StringTooLong(max)) => Self::new(
                ScriptErrorKind::TooLarge,
                format!("text in the script is longer than {max}"),
            ),
            ParseErrorType::BadInput(LexError::Runtime(text)) => {
                let kind = if text.starts_with(TOO_LARGE_MARK) {
                    ScriptErrorKind::TooLarge
                } else {
                    ScriptErrorKind::Parse
                };
                Self::new(kind, text.clone())
            }
            other => Self::new(
                ScriptErrorKind::Parse,
                format!(
                    "cannot read the script: {}",
                    lower_first(&other.to_string())
                ),
            ),
        };
        made.at(position)
    }

    /// The error of a script that started and did not finish.
    pub(super) fn from_eval(error: &EvalAltResult) -> Self {
        let (inner, outer_position, library) = innermost(error);
        let position = match inner.position() {
            Position::NONE => outer_position,
            known => known,
        };
        let mut told = explain(inner);
        told.message = link::unlinked(&told.message);
        let Some(within) = library else {
            return told.at(position);
        };
        // The author's own text shows where it was called; where it failed is a line of the module.
        let line = position
            .line()
            .map_or_else(String::new, |line| format!(", line {line}"));
        told.message = format!(
            "{}, in `{}`{line}",
            told.message,
            link::unlinked(within.name)
        );
        told.at(within.called)
    }
}

/// A function of the library that an error came out of, and where the script called it.
struct Within<'a> {
    name: &'a str,
    called: Position,
}

/// Rhai wraps an error once per call level; the author wants the cause.
fn innermost(error: &EvalAltResult) -> (&EvalAltResult, Position, Option<Within<'_>>) {
    let mut current = error;
    let mut position = error.position();
    let mut library: Option<Within<'_>> = None;
    while let EvalAltResult::ErrorInFunctionCall(name, _, inner, at) = current {
        if !at.is_none() {
            position = *at;
        }
        if link::split_name(name).is_some() {
            let called = library.map_or(*at, |within| within.called);
            library = Some(Within { name, called });
        }
        current = inner;
    }
    (current, position, library)
}

fn explain(error: &EvalAltResult) -> ScriptError {
    use EvalAltResult as E;
    use ScriptErrorKind as K;
    match error {
        E::ErrorParsing(inner, _) => ScriptError::new(
            K::Parse,
            format!(
                "cannot read the script: {}",
                lower_first(&inner.to_string())
            ),
        ),
        E::ErrorVariableNotFound(name, _) => ScriptError::new(
            K::UnknownVariable,
            format!("unknown variable `{}`", clip(name)),
        )
        .suggest(catalogue::nearest_variable(name)),
        E::ErrorFunctionNotFound(signature, _) => unknown_function(signature),
        E::ErrorPropertyNotFound(name, _) => ScriptError::new(
            K::UnknownProperty,
            format!("unknown property `{}`", clip(name)),
        ),
        E::ErrorIndexNotFound(key, _) => ScriptError::new(
            K::UnknownProperty,
            format!("unknown index `{}`", clip(&key.to_string())),
        ),
        E::ErrorDotExpr(text, _) => dot_error(text),
        E::ErrorMismatchDataType(wanted, given, _) => ScriptError::new(
            K::TypeMismatch,
            format!("expects {} but got {}", type_word(wanted), type_word(given)),
        ),
        E::ErrorRuntime(value, _) => ScriptError::new(K::Runtime, value.to_string()),
        E::ErrorNonPureMethodCallOnConstant(name, _) => ScriptError::new(
            K::Runtime,
            format!(
                "`{}` would change a value that cannot be changed here",
                clip(name)
            ),
        )
        .suggest(Some("a copy in a variable of your own".to_owned())),
        E::ErrorMismatchOutputType(..) | E::ErrorIndexingType(..) | E::ErrorFor(_) => {
            ScriptError::new(K::TypeMismatch, lower_first(&bare(error)))
        }
        E::ErrorTooManyOperations(_) => ScriptError::stopped(Stop::Operations),
        E::ErrorStackOverflow(_) => {
            ScriptError::new(K::TooDeep, "functions call each other too deeply")
        }
        E::ErrorTooManyVariables(_) => {
            ScriptError::new(K::TooLarge, "script holds too many variables")
        }
        E::ErrorTooManyModules(_) => ScriptError::new(K::Parse, "scripts cannot import modules"),
        E::ErrorDataTooLarge(what, _) => ScriptError::new(
            K::TooLarge,
            format!("{} is over the limit", lower_first(what)),
        ),
        E::ErrorTerminated(reason, _) if reason.is_bool() => ScriptError::stopped(Stop::Operations),
        E::ErrorTerminated(..) => ScriptError::stopped(Stop::Deadline),
        E::ErrorAssignmentToConstant(name, _) => {
            ScriptError::new(K::Runtime, format!("`{}` cannot be changed", clip(name)))
                .suggest(Some("a copy in a variable of your own".to_owned()))
        }
        other => ScriptError::new(K::Runtime, lower_first(&bare(other))),
    }
}

fn unknown_function(signature: &str) -> ScriptError {
    let name = signature.split([' ', '(']).next().unwrap_or(signature);
    let operator = !name.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let known = operator || catalogue::is_function(name);
    let message = if known {
        format!("no function `{}` for these values", clip(signature))
    } else {
        format!("unknown function `{}`", clip(name))
    };
    let suggestion = if known {
        None
    } else {
        catalogue::nearest_function(name)
    };
    ScriptError::new(ScriptErrorKind::UnknownFunction, message).suggest(suggestion)
}

/// Rhai tells these in a sentence: `Unknown property 'x' - a getter is not registered for type 'y'`.
fn dot_error(text: &str) -> ScriptError {
    let mut quoted = text.split('\'').skip(1).step_by(2);
    match (quoted.next(), quoted.next()) {
        (Some(name), Some(owner)) if text.starts_with("Unknown property") => ScriptError::new(
            ScriptErrorKind::UnknownProperty,
            format!("unknown property `{}` of {}", clip(name), type_word(owner)),
        ),
        _ => ScriptError::new(
            ScriptErrorKind::UnknownProperty,
            format!("cannot use the property: {}", lower_first(text)),
        ),
    }
}

/// Rhai's type names in the words of the documentation.
fn type_word(name: &str) -> &str {
    match name {
        "()" => "a missing value",
        "bool" => "true or false",
        "i64" => "a whole number",
        "f64" => "a number",
        "char" | "string" | "&str" | "ImmutableString" => "a text",
        "array" => "a list",
        "map" => "an object",
        "Fn" => "a function",
        other => other,
    }
}

/// Rhai's own text without its position, which we report apart.
fn bare(error: &EvalAltResult) -> String {
    let text = error.to_string();
    match text.rfind(" (line ") {
        Some(cut) if text.ends_with(')') => text[..cut].to_owned(),
        _ => text,
    }
}

/// Names come from the script and may be of any length.
fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

fn lower_first(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    match chars.next() {
        Some(first) => first.to_lowercase().chain(chars).collect(),
        None => String::new(),
    }
}
