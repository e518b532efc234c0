//! Blueprints: rules with places left open, filled in by typed inputs.
//!
//! Owns their form, the checks of inputs and the rendering. Must not know which accounts or queues there are: the check
//! of the rendered rule says that. Invariant: what is rendered names the blueprint, its version and the inputs in its
//! first line, so that a newer version can be held against it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use so_model::{problem::FieldError, rule::RuleDocument};

use crate::{
    rule::{Format, join, parse, to_yaml},
    schedule::parse_duration,
};

/// Begins the first line of a rendered rule.
const MARK: &str = "# blueprint: ";
/// Inputs of one blueprint; a form with more is none that people fill in.
const INPUTS_MAX: usize = 40;

/// A blueprint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blueprint {
    /// Its name, as a folder is named.
    #[serde(rename = "blueprint")]
    pub name: String,
    /// Grows with each change that an instance should see.
    pub version: u32,
    /// For people.
    pub title: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What is asked.
    #[serde(default)]
    pub inputs: BTreeMap<String, BlueprintInput>,
    /// The rule; `${name}` stands for an input.
    pub rule: Value,
}

/// Something that is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlueprintInput {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: BlueprintType,
    /// For people.
    pub title: String,
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Taken when nothing is given; without it something must be.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub default: Value,
    /// What may be chosen, of a choice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Value>,
}

/// Types of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlueprintType {
    /// A text.
    Text,
    /// A number.
    Number,
    /// `10m`.
    Duration,
    /// `HH:MM`.
    Time,
    /// True or false.
    Bool,
    /// One of some values.
    Choice,
    /// Id of an account.
    Account,
    /// Ids of accounts.
    Accounts,
    /// A label by id or name.
    Label,
    /// A queue by id or name.
    Queue,
    /// Id of a feed.
    Feed,
}

/// Where a rule came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Instance {
    /// Name of the blueprint.
    pub name: String,
    /// Its version then.
    pub version: u32,
    /// What was given.
    pub inputs: Map<String, Value>,
}

impl Blueprint {
    /// Reads a blueprint.
    pub fn read(text: &str) -> Result<Self, Vec<FieldError>> {
        let (value, places) = parse(text, Format::Yaml)?;
        let told = |pointer: String, reason: String| {
            let mut errors = vec![FieldError::new(pointer, reason)];
            places.annotate(&mut errors);
            errors
        };
        let read: Self = serde_json::from_value(value)
            .map_err(|error| told(String::new(), format!("is no blueprint: {error}")))?;
        if read.inputs.len() > INPUTS_MAX {
            let reason = format!("asks for more than {INPUTS_MAX} things");
            return Err(told("/inputs".into(), reason));
        }
        for (name, input) in &read.inputs {
            let pointer = join("/inputs", name);
            if !input.default.is_null() {
                let problem = input.problem(&input.default);
                if let Some(problem) = problem {
                    return Err(told(join(&pointer, "default"), problem));
                }
            }
            if input.kind == BlueprintType::Choice && input.choices.is_empty() {
                return Err(told(pointer, "is a choice without choices".into()));
            }
        }
        Ok(read)
    }

    /// The rule with the inputs in their places.
    pub fn render(&self, given: &Map<String, Value>) -> Result<Value, Vec<FieldError>> {
        let mut errors = Vec::new();
        for name in given.keys().filter(|name| !self.inputs.contains_key(*name)) {
            let error = FieldError::new(join("/inputs", name), "the blueprint does not ask for it");
            errors.push(error);
        }
        let mut values = Map::new();
        for (name, input) in &self.inputs {
            let value = given.get(name).unwrap_or(&input.default);
            let pointer = join("/inputs", name);
            if value.is_null() {
                errors.push(FieldError::new(pointer, "is missing").expected(&input.title));
            } else if let Some(problem) = input.problem(value) {
                errors.push(FieldError::new(pointer, problem));
            }
            values.insert(name.clone(), value.clone());
        }
        let mut rule = self.rule.clone();
        fill(&mut rule, &values, "/rule", &mut errors);
        match errors.is_empty() {
            true => Ok(rule),
            false => Err(errors),
        }
    }

    /// The text of a rule made from it, with where it came from in its first line.
    pub fn instance(&self, given: &Map<String, Value>) -> Result<String, Vec<FieldError>> {
        let rule = self.render(given)?;
        let told = |reason: String| vec![FieldError::new("/rule", reason)];
        let document: RuleDocument =
            serde_json::from_value(rule).map_err(|error| told(error.to_string()))?;
        let yaml = to_yaml(&document).map_err(|error| told(error.to_string()))?;
        let made = Instance {
            name: self.name.clone(),
            version: self.version,
            inputs: given.clone(),
        };
        let made = serde_json::to_string(&made).map_err(|error| told(error.to_string()))?;
        Ok(format!("{MARK}{made}\n{yaml}"))
    }
}

impl Instance {
    /// Where a rule's text says that it came from.
    pub fn of(text: &str) -> Option<Self> {
        let first = text.lines().find(|line| line.starts_with(MARK))?;
        serde_json::from_str(first.strip_prefix(MARK)?).ok()
    }
}

impl BlueprintInput {
    fn problem(&self, value: &Value) -> Option<String> {
        let is_text = value.as_str().is_some_and(|text| !text.is_empty());
        let is_right = match self.kind {
            BlueprintType::Text
            | BlueprintType::Account
            | BlueprintType::Label
            | BlueprintType::Queue
            | BlueprintType::Feed => is_text,
            BlueprintType::Number => value.is_number(),
            BlueprintType::Bool => value.is_boolean(),
            BlueprintType::Choice => self.choices.contains(value),
            BlueprintType::Time => value.as_str().is_some_and(is_time),
            BlueprintType::Duration => value
                .as_str()
                .is_some_and(|text| parse_duration(text).is_ok()),
            BlueprintType::Accounts => value
                .as_array()
                .is_some_and(|items| !items.is_empty() && items.iter().all(Value::is_string)),
        };
        let wanted = match self.kind {
            BlueprintType::Text => "a text",
            BlueprintType::Number => "a number",
            BlueprintType::Duration => "a duration such as 10m",
            BlueprintType::Time => "a time such as 09:30",
            BlueprintType::Bool => "true or false",
            BlueprintType::Choice => "one of the choices",
            BlueprintType::Account => "the id of an account",
            BlueprintType::Accounts => "a list of ids of accounts",
            BlueprintType::Label => "a label",
            BlueprintType::Queue => "a queue",
            BlueprintType::Feed => "the id of a feed",
        };
        (!is_right).then(|| format!("must be {wanted}"))
    }
}

fn is_time(text: &str) -> bool {
    text.split_once(':').is_some_and(|(hours, minutes)| {
        let below = |part: &str, max: u32| {
            part.len() == 2 && part.parse::<u32>().is_ok_and(|number| number < max)
        };
        below(hours, 24) && below(minutes, 60)
    })
}

/// A text that is one input and nothing else becomes its value; within a text it is written out.
fn fill(
    value: &mut Value,
    inputs: &Map<String, Value>,
    pointer: &str,
    errors: &mut Vec<FieldError>,
) {
    match value {
        Value::String(text) if text.contains("${") => {
            let whole = text
                .strip_prefix("${")
                .and_then(|rest| rest.strip_suffix('}'));
            if let Some(input) = whole.and_then(|name| inputs.get(name)) {
                *value = input.clone();
                return;
            }
            let mut out = String::new();
            let mut rest = text.as_str();
            while let Some((before, after)) = rest.split_once("${") {
                out.push_str(before);
                let (name, after) = after.split_once('}').unwrap_or((after, ""));
                match inputs.get(name) {
                    Some(Value::String(text)) => out.push_str(text),
                    Some(other) => out.push_str(&other.to_string()),
                    None => {
                        let reason = format!("there is no input {name}");
                        errors.push(FieldError::new(pointer, reason));
                    }
                }
                rest = after;
            }
            out.push_str(rest);
            *value = Value::String(out);
        }
        Value::Array(items) => {
            for (index, item) in items.iter_mut().enumerate() {
                fill(item, inputs, &join(pointer, index), errors);
            }
        }
        Value::Object(map) => {
            for (key, item) in map.iter_mut() {
                fill(item, inputs, &join(pointer, key), errors);
            }
        }
        _ => {}
    }
}

/// Pairs of lines that are compared; of longer texts all lines are told as changed. 16 MB of memory.
const CELLS_MAX: usize = 4_000_000;

/// Lines that differ between two texts, as `diff` tells them: ` `, `-` or `+` before each.
pub fn line_diff(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old.len().saturating_mul(new.len()) > CELLS_MAX {
        let gone = old.iter().map(|line| format!("-{line}"));
        return gone
            .chain(new.iter().map(|line| format!("+{line}")))
            .collect();
    }
    // Length of the longest common rest from each pair of lines on; rules have some hundred lines.
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, one) in old.iter().enumerate().rev() {
        for (j, other) in new.iter().enumerate().rev() {
            common[i][j] = match one == other {
                true => common[i + 1][j + 1] + 1,
                false => common[i + 1][j].max(common[i][j + 1]),
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push(format!(" {}", old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || (i < old.len() && common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("-{}", old[i]));
            i += 1;
        } else {
            lines.push(format!("+{}", new[j]));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const TEXT: &str = "
blueprint: liked
version: 2
title: Liked
inputs:
  likes: {type: number, title: Likes, default: 100}
  label: {type: label, title: Label}
  pause: {type: duration, title: Pause, default: 10m}
rule:
  version: 1
  name: Liked ${likes} times
  triggers: [{id: t, kind: manual}]
  if: {field: event.data.likes, op: ge, value: '${likes}'}
  steps:
    - {id: wait, delay: {for: '${pause}'}}
    - {id: mark, action: label.add, with: {post: '{{ event.data.post }}', label: '${label}'}}
";

    fn inputs(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn inputs_take_their_places_with_their_types() {
        let blueprint = Blueprint::read(TEXT).unwrap();
        let rule = blueprint.render(&inputs(json!({"label": "x: y"}))).unwrap();
        assert_eq!(rule["name"], "Liked 100 times");
        assert_eq!(rule["if"]["value"], 100);
        assert_eq!(rule["steps"][1]["with"]["label"], "x: y");
        let text = blueprint
            .instance(&inputs(json!({"label": "x", "likes": 5})))
            .unwrap();
        let made = Instance::of(&text).unwrap();
        assert_eq!((made.name.as_str(), made.version), ("liked", 2));
        assert_eq!(made.inputs["likes"], 5);
        assert!(parse(&text, Format::Yaml).is_ok());
    }

    #[test]
    fn wrong_inputs_are_told_by_their_names() {
        let blueprint = Blueprint::read(TEXT).unwrap();
        let given = json!({"likes": "many", "pause": "soon", "colour": "red"});
        let errors = blueprint.render(&inputs(given)).unwrap_err();
        let mut places: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        places.sort_unstable();
        assert_eq!(
            places,
            [
                "/inputs/colour",
                "/inputs/label",
                "/inputs/likes",
                "/inputs/pause"
            ]
        );
        assert!(Blueprint::read(&TEXT.replace("default: 10m", "default: soon")).is_err());
        let unknown = Blueprint::read(&TEXT.replace("${pause}", "${paus}")).unwrap();
        assert!(unknown.render(&inputs(json!({"label": "x"}))).is_err());
    }

    #[test]
    fn differing_lines_are_told() {
        let lines = line_diff("a\nb\nc\n", "a\nx\nc\nd\n");
        assert_eq!(lines, [" a", "-b", "+x", " c", "+d"]);
        let long = "a\n".repeat(3_000);
        assert_eq!(
            line_diff(&long, &long).len(),
            6_000,
            "bounded, and nothing is left out"
        );
    }
}
