//! What is known of the data of an event: enough to spot a misspelt property.
//!
//! Owns the small type language of the analysis; must not know scripts. Invariant: whatever is
//! not understood becomes `Any`, so a shape never causes a false finding.

use std::collections::BTreeMap;

use serde_json::Value;

/// Nesting followed in a schema or sample; references may be circular.
const MAX_DEPTH: usize = 24;

/// Fields taken of one object.
const MAX_FIELDS: usize = 1_000;

/// The shape of a JSON value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Shape {
    /// Nothing is known.
    #[default]
    Any,
    /// An object with exactly these fields.
    Object(BTreeMap<String, Shape>),
    /// An object with these fields and maybe others.
    Open(BTreeMap<String, Shape>),
    /// A list of such items.
    Array(Box<Shape>),
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// Any number.
    Number,
    /// True or false.
    Bool,
}

impl Shape {
    /// Best effort reading of a JSON schema. An object that lists properties and does not allow
    /// additional ones in so many words counts as closed: that is how event schemas are meant.
    pub fn from_json_schema(schema: &Value) -> Self {
        from_schema(schema, schema, 0)
    }

    /// The shape of one sample: all objects stay open, as other events may hold more.
    pub fn from_sample(sample: &Value) -> Self {
        from_sample(sample, 0)
    }
}

fn from_schema(schema: &Value, root: &Value, depth: usize) -> Shape {
    if depth > MAX_DEPTH {
        return Shape::Any;
    }
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let found = target
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer));
        return found.map_or(Shape::Any, |found| from_schema(found, root, depth + 1));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(options) = schema.get(key).and_then(Value::as_array) {
            return only_option(options, root, depth);
        }
    }
    match type_of(schema) {
        Some("object") => object_schema(schema, root, depth),
        Some("array") => {
            let items = schema.get("items");
            Shape::Array(Box::new(
                items.map_or(Shape::Any, |items| from_schema(items, root, depth + 1)),
            ))
        }
        Some("string") => Shape::String,
        Some("integer") => Shape::Integer,
        Some("number") => Shape::Number,
        Some("boolean") => Shape::Bool,
        _ => Shape::Any,
    }
}

/// An alternative is only useful when all but one are `null`.
fn only_option(options: &[Value], root: &Value, depth: usize) -> Shape {
    let mut real = options
        .iter()
        .filter(|option| type_of(option) != Some("null"));
    match (real.next(), real.next()) {
        (Some(only), None) => from_schema(only, root, depth + 1),
        _ => Shape::Any,
    }
}

fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type") {
        Some(Value::String(name)) => Some(name),
        Some(Value::Array(names)) => {
            let mut real = names
                .iter()
                .filter_map(Value::as_str)
                .filter(|name| *name != "null");
            match (real.next(), real.next()) {
                (Some(only), None) => Some(only),
                _ => None,
            }
        }
        _ if schema.get("properties").is_some() => Some("object"),
        _ => None,
    }
}

fn object_schema(schema: &Value, root: &Value, depth: usize) -> Shape {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return Shape::Any;
    };
    let fields: BTreeMap<String, Shape> = properties
        .iter()
        .take(MAX_FIELDS)
        .map(|(name, inner)| (name.clone(), from_schema(inner, root, depth + 1)))
        .collect();
    let open = schema.get("patternProperties").is_some()
        || properties.len() > MAX_FIELDS
        || !matches!(
            schema.get("additionalProperties"),
            None | Some(Value::Bool(false))
        );
    if open {
        Shape::Open(fields)
    } else {
        Shape::Object(fields)
    }
}

fn from_sample(sample: &Value, depth: usize) -> Shape {
    if depth > MAX_DEPTH {
        return Shape::Any;
    }
    match sample {
        Value::Null => Shape::Any,
        Value::Bool(_) => Shape::Bool,
        Value::Number(number) if number.is_i64() || number.is_u64() => Shape::Integer,
        Value::Number(_) => Shape::Number,
        Value::String(_) => Shape::String,
        Value::Array(items) => {
            let mut shapes = items
                .iter()
                .take(MAX_FIELDS)
                .map(|item| from_sample(item, depth + 1));
            let first = shapes.next().unwrap_or_default();
            let same = shapes.all(|shape| shape == first);
            Shape::Array(Box::new(if same { first } else { Shape::Any }))
        }
        Value::Object(fields) => Shape::Open(
            fields
                .iter()
                .take(MAX_FIELDS)
                .map(|(name, value)| (name.clone(), from_sample(value, depth + 1)))
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_schema_without_additional_properties_is_closed() {
        let schema = json!({
            "type": "object",
            "properties": {
                "post": {"$ref": "#/$defs/Post"},
                "note": {"type": ["string", "null"]},
                "odd": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
                "free": {"type": "object", "properties": {}, "additionalProperties": true}
            },
            "$defs": {"Post": {"type": "object", "properties": {"likes": {"type": "integer"}, "next": {"$ref": "#/$defs/Post"}}}}
        });
        let Shape::Object(fields) = Shape::from_json_schema(&schema) else {
            panic!("closed object expected");
        };
        assert_eq!(fields["note"], Shape::String);
        assert_eq!(fields["odd"], Shape::Any);
        assert_eq!(fields["free"], Shape::Open(BTreeMap::new()));
        assert!(matches!(&fields["post"], Shape::Object(post) if post["likes"] == Shape::Integer));
    }

    #[test]
    fn a_sample_is_open_and_mixed_lists_are_unknown() {
        let shape = Shape::from_sample(&json!({"a": [1, "x"], "b": [1, 2], "c": null}));
        let Shape::Open(fields) = shape else {
            panic!("open object expected");
        };
        assert_eq!(fields["a"], Shape::Array(Box::new(Shape::Any)));
        assert_eq!(fields["b"], Shape::Array(Box::new(Shape::Integer)));
        assert_eq!(fields["c"], Shape::Any);
    }
}
