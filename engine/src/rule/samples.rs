//! What is known of the data of the events that start a rule.
//!
//! Owns the merging of samples of several triggers. Must not know scripts
//! beyond their notion of a shape. Invariant: where one trigger's data is open
//! or unlike another's, nothing is claimed.

use serde_json::Value;

use crate::script::Shape;

use super::catalogue::TriggerSpec;

/// Fields that any of the triggers may give; none when the data may be anything.
pub(super) fn merged(specs: &[Option<&TriggerSpec>]) -> Option<Value> {
    let mut all: Option<Value> = None;
    for spec in specs {
        let spec = (*spec).filter(|spec| !spec.open_data && spec.sample_data.is_object())?;
        match &mut all {
            Some(all) => merge(all, &spec.sample_data),
            None => all = Some(spec.sample_data.clone()),
        }
    }
    all
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(key) {
                    Some(known) => merge(known, value),
                    None => {
                        into.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (into, from) if std::mem::discriminant(into) == std::mem::discriminant(from) => {}
        (into, _) => *into = Value::Null,
    }
}

/// The shape scripts are read against.
pub(super) fn shape(sample: Option<&Value>) -> Shape {
    match sample {
        None | Some(Value::Null) => Shape::Any,
        Some(Value::Bool(_)) => Shape::Bool,
        Some(Value::Number(_)) => Shape::Number,
        Some(Value::String(_)) => Shape::String,
        Some(Value::Array(items)) => Shape::Array(Box::new(shape(items.first()))),
        Some(Value::Object(map)) if map.is_empty() => Shape::Any,
        Some(Value::Object(map)) => Shape::Object(
            map.iter()
                .map(|(key, value)| (key.clone(), shape(Some(value))))
                .collect(),
        ),
    }
}
