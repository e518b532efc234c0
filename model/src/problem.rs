//! The one error of the wire: problem+json (RFC 9457) with a stable code.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An error as clients get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Problem {
    /// `about:blank`, or an address that explains the code.
    #[serde(rename = "type", default = "blank")]
    pub kind: String,
    /// Short sentence, equal for equal codes.
    pub title: String,
    /// HTTP status.
    pub status: u16,
    /// Stable code: `post.not_found`.
    pub code: String,
    /// What exactly is wrong.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub next_step: String,
    /// Each field that is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
}

/// One wrong field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FieldError {
    /// JSON pointer into the request: `/content/text`.
    pub pointer: String,
    /// What is wrong.
    pub reason: String,
    /// What was expected.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub expected: String,
    /// A name that was probably meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
    /// Line in a script or text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column in a script or text, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// Stable code of a finding in a rule, as docs/analysis.md lists them.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub code: String,
    /// A change of the document that mends it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Box<Fix>>,
}

/// A change of a document: puts a value at a place, or takes away what stands there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Fix {
    /// JSON pointer of the place.
    pub pointer: String,
    /// What is put there; without it the place is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
}

impl FieldError {
    /// A wrong field.
    pub fn new(pointer: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            reason: reason.into(),
            expected: String::new(),
            suggestion: None,
            line: None,
            column: None,
            code: String::new(),
            fix: None,
        }
    }
    /// Names the sort of finding, unless that was said already.
    pub fn coded(mut self, code: &str) -> Self {
        if self.code.is_empty() {
            code.clone_into(&mut self.code);
        }
        self
    }
    /// Says what was expected.
    pub fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = expected.into();
        self
    }
    /// Adds the name that was probably meant.
    pub fn suggest(mut self, suggestion: Option<String>) -> Self {
        self.suggestion = suggestion;
        self
    }
}

fn blank() -> String {
    "about:blank".into()
}

impl Problem {
    /// An error with a stable code.
    pub fn new(status: u16, code: impl Into<String>, title: impl Into<String>) -> Self {
        Self {
            kind: blank(),
            title: title.into(),
            status,
            code: code.into(),
            detail: String::new(),
            next_step: String::new(),
            errors: Vec::new(),
        }
    }
    /// Says what exactly is wrong.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }
    /// Says what to do about it.
    pub fn next_step(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = next_step.into();
        self
    }
    /// Names wrong fields.
    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }
}
