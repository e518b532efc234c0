//! What a JSON Schema refuses, told as field errors.
//!
//! Owns the words for each refusal, and which of several branches was meant.
//! Must not know rules beyond the definitions of their schema. Invariant: every
//! refusal names the place, what was expected, and a close name if there is one.

use std::{collections::BTreeMap, sync::LazyLock};

use jsonschema::{
    ValidationError, Validator,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde_json::{Value, json};
use so_model::problem::FieldError;

use super::{
    schema::{self, CONDITION_KINDS, STEP_KINDS},
    suggest::{nearest, one_of},
    text::join,
};

/// Definitions that are checked one node at a time, nested nodes left out.
static NODES: LazyLock<BTreeMap<&'static str, Node>> = LazyLock::new(|| {
    let kinds = STEP_KINDS
        .iter()
        .chain(&CONDITION_KINDS)
        .map(|(_, kind)| *kind);
    let others = ["Rule"];
    kinds
        .chain(others)
        .filter_map(|kind| Some((kind, Node::new(kind)?)))
        .collect()
});

struct Node {
    schema: Value,
    validator: Validator,
}

impl Node {
    fn new(kind: &str) -> Option<Self> {
        let mut schema = schema::shared().clone();
        // Nested nodes are checked on their own, where it is known which kind they are.
        schema["$defs"]["Step"] = json!(true);
        schema["$defs"]["Condition"] = json!(true);
        if kind != "Rule" {
            schema = json!({ "$ref": format!("#/$defs/{kind}"), "$defs": schema["$defs"].take() });
        }
        let validator = jsonschema::draft202012::new(&schema).ok()?;
        Some(Self { schema, validator })
    }
}

/// Checks one node of a document, without the nodes inside it.
pub(super) fn check_node(kind: &str, value: &Value, pointer: &str) -> Vec<FieldError> {
    match NODES.get(kind) {
        Some(node) => refusals(&node.validator, &node.schema, value, pointer, false),
        None => vec![FieldError::new(pointer, format!("no definition of {kind}"))],
    }
}

/// Checks parameters against a kind's own schema. A text with `{{` stands for
/// a value of any type, since only rendering tells.
pub(super) fn check_params(schema: &Value, value: &Value, pointer: &str) -> Vec<FieldError> {
    match jsonschema::draft202012::new(schema) {
        Ok(validator) => refusals(&validator, schema, value, pointer, true),
        Err(error) => vec![FieldError::new(
            pointer,
            format!("the schema of these parameters is broken: {error}"),
        )],
    }
}

fn refusals(
    validator: &Validator,
    schema: &Value,
    value: &Value,
    pointer: &str,
    templates: bool,
) -> Vec<FieldError> {
    let teller = Teller {
        schema,
        base: pointer,
        templates,
    };
    validator
        .iter_errors(value)
        .flat_map(|error| teller.tell(&error))
        .collect()
}

/// Whether a value is a text that is computed later.
pub(super) fn is_template(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.contains("{{"))
}

struct Teller<'a> {
    schema: &'a Value,
    base: &'a str,
    templates: bool,
}

impl Teller<'_> {
    fn tell(&self, error: &ValidationError<'_>) -> Vec<FieldError> {
        if self.templates && is_template(error.instance()) {
            return Vec::new();
        }
        let pointer = format!("{}{}", self.base, error.instance_path().as_str());
        match error.kind() {
            Kind::AdditionalProperties { unexpected }
            | Kind::UnevaluatedProperties { unexpected } => unexpected
                .iter()
                .map(|name| self.unknown_key(error, &pointer, name))
                .collect(),
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                self.branches(error, &pointer, context)
            }
            Kind::Required { property } => vec![self.missing(error, &pointer, property)],
            Kind::Enum { options } => vec![not_among(error, &pointer, options.as_array())],
            Kind::Constant { expected_value } => {
                vec![not_among(
                    error,
                    &pointer,
                    Some(&vec![(**expected_value).clone()]),
                )]
            }
            Kind::Type { kind } => vec![wrong_type(error, &pointer, kind)],
            other => vec![FieldError::new(pointer, wrong(error.instance())).expected(bound(other))],
        }
    }

    /// The definition that holds the keyword of the error.
    fn definition(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let path = error.schema_path().as_str();
        self.schema.pointer(&path[..path.rfind('/')?])
    }

    fn unknown_key(&self, error: &ValidationError<'_>, pointer: &str, name: &str) -> FieldError {
        let known: Vec<&str> = self
            .definition(error)
            .and_then(|definition| definition["properties"].as_object())
            .map(|known| known.keys().map(String::as_str).collect())
            .unwrap_or_default();
        let absent = known
            .iter()
            .copied()
            .filter(|key| error.instance().get(key).is_none());
        FieldError::new(join(pointer, name), format!("unknown key `{name:.64}`"))
            .suggest(nearest(name, absent))
            .expected(one_of(known))
    }

    fn missing(&self, error: &ValidationError<'_>, pointer: &str, property: &Value) -> FieldError {
        let name = property.as_str().unwrap_or_default();
        let about = self
            .definition(error)
            .and_then(|definition| definition["properties"][name]["description"].as_str())
            .unwrap_or("a value");
        FieldError::new(pointer, format!("`{name}` is missing"))
            .expected(about.trim_end_matches('.'))
    }

    /// Tells the branch that was most likely meant: the one that got furthest.
    fn branches(
        &self,
        error: &ValidationError<'_>,
        pointer: &str,
        context: &[Vec<ValidationError<'static>>],
    ) -> Vec<FieldError> {
        let constants: Vec<Value> = context.iter().flatten().filter_map(constant).collect();
        if constants.len() == context.len() {
            let Some(first) = context
                .iter()
                .flatten()
                .find(|inner| constant(inner).is_some())
            else {
                return Vec::new();
            };
            let inner = format!("{}{}", self.base, first.instance_path().as_str());
            return vec![not_among(first, &inner, Some(&constants))];
        }
        let mut best: Option<Vec<FieldError>> = None;
        for branch in context {
            if branch.iter().any(|inner| constant(inner).is_some()) {
                continue;
            }
            let told: Vec<FieldError> = branch.iter().flat_map(|inner| self.tell(inner)).collect();
            if told.is_empty() {
                return Vec::new();
            }
            let depth = |errors: &[FieldError]| {
                let deepest = errors.iter().map(|e| e.pointer.matches('/').count()).max();
                (std::cmp::Reverse(deepest), errors.len())
            };
            if best.as_ref().is_none_or(|best| depth(&told) < depth(best)) {
                best = Some(told);
            }
        }
        best.unwrap_or_else(|| vec![FieldError::new(pointer, wrong(error.instance()))])
    }
}

fn constant(error: &ValidationError<'_>) -> Option<Value> {
    match error.kind() {
        Kind::Constant { expected_value } => Some((**expected_value).clone()),
        _ => None,
    }
}

fn not_among(
    error: &ValidationError<'_>,
    pointer: &str,
    options: Option<&Vec<Value>>,
) -> FieldError {
    let names: Vec<String> = options.into_iter().flatten().map(plain).collect();
    let given = plain(error.instance());
    FieldError::new(pointer, wrong(error.instance()))
        .suggest(nearest(&given, names.iter().map(String::as_str)))
        .expected(one_of(names.iter().map(String::as_str)))
}

fn wrong_type(error: &ValidationError<'_>, pointer: &str, kind: &TypeKind) -> FieldError {
    let names: Vec<&str> = match kind {
        TypeKind::Single(one) => vec![type_name(one.as_str())],
        TypeKind::Multiple(set) => set.iter().map(|one| type_name(one.as_str())).collect(),
    };
    let wanted = names.join(" or ");
    let given = error.instance();
    let suggestion = match given.as_str() {
        // YAML 1.1 habits: in YAML 1.2 these words are texts.
        Some("yes" | "on" | "Yes" | "On") if wanted == "true or false" => Some("true".to_owned()),
        Some("no" | "off" | "No" | "Off") if wanted == "true or false" => Some("false".to_owned()),
        Some(text) if wanted.contains("number") && text.parse::<f64>().is_ok() => {
            Some(text.to_owned())
        }
        _ => None,
    };
    FieldError::new(pointer, format!("this is {}", describe(given)))
        .expected(wanted)
        .suggest(suggestion)
}

fn type_name(name: &str) -> &str {
    match name {
        "string" => "a text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "an object",
        other => other,
    }
}

/// A value's type in the words of the documentation.
pub(crate) fn describe(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Characters of a wrong value that are repeated to its author.
const MAX_SHOWN: usize = 60;

fn plain(value: &Value) -> String {
    let text = value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned);
    match text.char_indices().nth(MAX_SHOWN) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}

fn wrong(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => {
            format!("{} of this form is not allowed", describe(value))
        }
        _ => format!("`{}` is not allowed", plain(value)),
    }
}

fn bound(kind: &Kind) -> String {
    match kind {
        Kind::Minimum { limit } => format!("at least {limit}"),
        Kind::Maximum { limit } => format!("at most {limit}"),
        Kind::ExclusiveMinimum { limit } => format!("more than {limit}"),
        Kind::ExclusiveMaximum { limit } => format!("less than {limit}"),
        Kind::MinLength { limit: 1 } => "a text that is not empty".to_owned(),
        Kind::MinLength { limit } => format!("at least {limit} characters"),
        Kind::MaxLength { limit } => format!("at most {limit} characters"),
        Kind::MinItems { limit } => format!("at least {limit} in the list"),
        Kind::MaxItems { limit } => format!("at most {limit} in the list"),
        Kind::MinProperties { limit } => format!("at least {limit} keys"),
        Kind::MaxProperties { limit } => format!("at most {limit} keys"),
        Kind::Pattern { pattern } if pattern == "^[A-Za-z0-9_-]{1,64}$" => {
            "1 to 64 letters, digits, `_` or `-`".to_owned()
        }
        Kind::Pattern { pattern } => format!("a text that matches {pattern}"),
        Kind::Format { format } => format!("a text in the format {format}"),
        Kind::UniqueItems => "each element once".to_owned(),
        other => format!("what the schema says under `{}`", other.keyword()),
    }
}
