//! What a rule asks of whoever calls it.
//!
//! Invariant: a call is judged by the same words when the calling rule is saved and when the call is made.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::RuleDocument;

/// Something that a call of the rule brings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: InputType,
    /// What it is for, told to whoever writes a call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Taken when a call does not bring it; without a default it must be brought.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
}

/// Types of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InputType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// A whole number.
    Whole,
    /// True or false.
    Boolean,
    /// A moment such as `2026-01-31T09:00:00Z`.
    Moment,
    /// A list.
    List,
    /// An object.
    Object,
    /// Anything.
    Any,
}

impl InputType {
    /// As people call it.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Number => "a number",
            Self::Whole => "a whole number",
            Self::Boolean => "true or false",
            Self::Moment => "a moment such as 2026-01-31T09:00:00Z",
            Self::List => "a list",
            Self::Object => "an object",
            Self::Any => "a value",
        }
    }
    /// A value is of this type.
    pub fn takes(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Whole => value.is_i64() || value.is_u64(),
            Self::Boolean => value.is_boolean(),
            Self::Moment => value.as_str().and_then(crate::Timestamp::parse).is_some(),
            Self::List => value.is_array(),
            Self::Object => value.is_object(),
            Self::Any => !value.is_null(),
        }
    }
}

/// What is wrong with one input of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputProblem {
    /// The input.
    pub name: String,
    /// What is wrong, for people.
    pub reason: String,
    /// What was expected.
    pub expected: String,
}

impl RuleDocument {
    /// Fills in defaults and checks what a call brings. A rule without inputs takes anything.
    ///
    /// `is_settled` is false where a text may still hold a template, whose value is of any type.
    pub fn take_input(&self, given: Value, is_settled: bool) -> Result<Value, Vec<InputProblem>> {
        if self.inputs.is_empty() {
            return Ok(given);
        }
        let computed =
            |value: &Value| !is_settled && value.as_str().is_some_and(|text| text.contains("{{"));
        let mut given = match given {
            Value::Null => Map::new(),
            Value::Object(map) => map,
            other if computed(&other) => return Ok(other),
            _ => {
                return Err(vec![InputProblem {
                    name: String::new(),
                    reason: "the input is not an object".into(),
                    expected: "an object with the inputs of the rule".into(),
                }]);
            }
        };
        let mut problems = Vec::new();
        let known: Vec<&str> = self.inputs.keys().map(String::as_str).collect();
        for name in given.keys().filter(|name| !self.inputs.contains_key(*name)) {
            problems.push(InputProblem {
                name: name.clone(),
                reason: format!("the rule has no input `{name:.64}`"),
                expected: format!("one of {}", known.join(", ")),
            });
        }
        for (name, input) in &self.inputs {
            match given.get(name) {
                None | Some(Value::Null) if input.default.is_null() => {
                    problems.push(InputProblem {
                        name: name.clone(),
                        reason: format!("the input `{name}` is missing"),
                        expected: input.kind.words().into(),
                    })
                }
                None | Some(Value::Null) => {
                    given.insert(name.clone(), input.default.clone());
                }
                Some(value) if computed(value) || input.kind.takes(value) => {}
                Some(_) => problems.push(InputProblem {
                    name: name.clone(),
                    reason: format!("the input `{name}` is of another type"),
                    expected: input.kind.words().into(),
                }),
            }
        }
        if problems.is_empty() {
            Ok(Value::Object(given))
        } else {
            Err(problems)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_call_brings_what_the_rule_asks_for() {
        let rule: RuleDocument = serde_json::from_value(json!({
            "version": 1, "name": "n", "triggers": [{"id": "t", "kind": "rule.called"}], "steps": [],
            "inputs": {"text": {"type": "text"}, "count": {"type": "whole", "default": 3}}
        }))
        .unwrap();
        let taken = rule.take_input(json!({"text": "a"}), true);
        assert_eq!(taken, Ok(json!({"text": "a", "count": 3})));
        let wrong = rule.take_input(json!({"count": "{{ 1 }}", "txt": 1}), true);
        let wrong: Vec<String> = wrong.unwrap_err().into_iter().map(|one| one.name).collect();
        assert_eq!(wrong, ["txt", "count", "text"]);
        let open = rule.take_input(json!({"text": "{{ x }}", "count": "{{ 1 }}"}), false);
        assert!(open.is_ok());
    }
}
