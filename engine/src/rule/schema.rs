//! The JSON Schema of rule documents, generated from the types that read them.
//!
//! Owns how the grammar is told to editors and validators. Must not know a
//! catalogue: `with` is checked against each kind's own schema. Invariant: the
//! schema names one closed definition for each kind of step and condition.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};
use so_model::rule::RuleDocument;

/// Kinds of steps: the key that tells one, and its definition.
pub(super) const STEP_KINDS: [(&str, &str); 9] = [
    ("action", "ActionStep"),
    ("if", "IfStep"),
    ("choose", "ChooseStep"),
    ("for_each", "ForEachStep"),
    ("parallel", "ParallelStep"),
    ("delay", "DelayStep"),
    ("wait_for", "WaitForStep"),
    ("set", "SetStep"),
    ("stop", "StopStep"),
];

/// Kinds of conditions: the key that tells one, and its definition.
pub(super) const CONDITION_KINDS: [(&str, &str); 7] = [
    ("all", "All"),
    ("any", "Any"),
    ("not", "Not"),
    ("field", "Compare"),
    ("time", "TimeWindow"),
    ("fact", "FactTest"),
    ("expr", "Expr"),
];

/// The version of the grammar that this server reads.
pub const GRAMMAR_VERSION: u32 = 1;

static SCHEMA: LazyLock<Value> = LazyLock::new(generate);

/// The JSON Schema (draft 2020-12) of a rule document.
pub fn schema() -> Value {
    SCHEMA.clone()
}

pub(super) fn shared() -> &'static Value {
    &SCHEMA
}

/// Whether any of the kinds has a key of that name.
pub(super) fn has_key(kinds: &[(&str, &str)], key: &str) -> bool {
    kinds
        .iter()
        .any(|(_, kind)| !SCHEMA["$defs"][kind]["properties"][key].is_null())
}

fn generate() -> Value {
    let mut root = SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<RuleDocument>()
        .to_value();
    root["title"] = json!("Rule");
    root["properties"]["version"] = json!({
        "const": GRAMMAR_VERSION,
        "description": root["properties"]["version"]["description"].take(),
    });
    drop_nulls(&mut root);
    name_enums(&mut root);
    close_steps(&mut root);
    for (name, kinds) in [
        ("Step", &STEP_KINDS[..]),
        ("Condition", &CONDITION_KINDS[..]),
    ] {
        let branches: Vec<Value> = kinds
            .iter()
            .map(|(_, kind)| json!({ "$ref": format!("#/$defs/{kind}") }))
            .collect();
        let description = root["$defs"][name]["description"].take();
        root["$defs"][name] =
            json!({ "type": "object", "oneOf": branches, "description": description });
    }
    root
}

/// Absent is how a document says "not given": null is no second way.
fn drop_nulls(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        Value::Object(map) => {
            if let Some(Value::Array(branches)) = map.get_mut("anyOf") {
                branches.retain(|branch| *branch != json!({ "type": "null" }));
                if let [only] = &mut branches[..] {
                    let only = only.take();
                    map.remove("anyOf");
                    let rest = std::mem::take(map);
                    merge(map, only);
                    map.extend(rest);
                }
            }
            if let Some(Value::Array(types)) = map.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [only] = &mut types[..] {
                    map["type"] = only.take();
                }
            }
            map.values_mut().for_each(drop_nulls);
        }
        _ => {}
    }
}

fn merge(map: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        map.extend(more);
    }
}

/// A choice among constants becomes one `enum`, which validators explain better.
fn name_enums(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(name_enums),
        Value::Object(map) => {
            map.values_mut().for_each(name_enums);
            let Some(Value::Array(branches)) = map.get("oneOf") else {
                return;
            };
            let names: Option<Vec<Value>> = branches
                .iter()
                .map(|branch| branch.get("const").cloned())
                .collect();
            let Some(names) = names else {
                return;
            };
            let texts: Vec<Value> = branches
                .iter()
                .map(|branch| branch.get("description").cloned().unwrap_or_default())
                .collect();
            map.remove("oneOf");
            map.insert("type".into(), json!("string"));
            map.insert("enum".into(), Value::Array(names));
            map.insert("enumDescriptions".into(), Value::Array(texts));
        }
        _ => {}
    }
}

/// The keys common to all steps move into each kind, which can then be closed.
fn close_steps(root: &mut Value) {
    let common = root["$defs"]["Step"]["properties"].take();
    for (_, kind) in STEP_KINDS {
        let Some(Value::Object(step)) = root["$defs"].get_mut(kind) else {
            continue;
        };
        let mut properties = Map::new();
        merge(&mut properties, common.clone());
        merge(
            &mut properties,
            step.remove("properties").unwrap_or_default(),
        );
        let mut required = vec![json!("id")];
        if let Some(Value::Array(own)) = step.remove("required") {
            required.extend(own);
        }
        step.insert("properties".into(), Value::Object(properties));
        step.insert("required".into(), Value::Array(required));
        step.insert("additionalProperties".into(), json!(false));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_in_the_docs_is_the_one_generated() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rule.schema.json");
        let mut text = serde_json::to_string_pretty(&schema()).unwrap();
        text.push('\n');
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let kept = std::fs::read_to_string(path).unwrap();
        assert!(
            kept == text,
            "docs/rule.schema.json is stale: run this test with UPDATE_DOCS=1"
        );
    }

    #[test]
    fn every_kind_is_closed_and_asks_for_its_own_key() {
        for (key, kind) in STEP_KINDS.into_iter().chain(CONDITION_KINDS) {
            let own = &schema()["$defs"][kind];
            assert_eq!(own["additionalProperties"], false, "{kind}");
            assert!(
                own["required"].as_array().unwrap().contains(&json!(key)),
                "{kind}"
            );
        }
    }

    #[test]
    fn a_whole_document_satisfies_the_schema_and_a_foreign_key_does_not() {
        let validator = jsonschema::draft202012::new(&schema()).unwrap();
        let mut rule = json!({
            "version": 1, "name": "n", "triggers": [{"id": "t", "kind": "manual"}],
            "if": {"not": {"field": "event.kind", "op": "eq", "value": "x"}},
            "steps": [{"id": "a", "if": {"expr": "true"}, "then": [{"id": "b", "stop": {}}]}]
        });
        assert!(validator.is_valid(&rule));
        rule["steps"][0]["then"][0]["stpo"] = json!(1);
        assert!(!validator.is_valid(&rule));
    }
}
