//! Parameters as rules give them: read, described, and their mistakes told.
//!
//! Owns the way from rendered values to typed parameters. Must not know an
//! action. Invariant: a mistake names the field it is in.

use std::fmt::Display;

use schemars::{JsonSchema, generate::SchemaSettings};
use serde::de::DeserializeOwned;
use serde_json::Value;
use so_engine::{plugin::ActionError, rule::ActionSpec};
use so_model::id::{Id, IdKind};

/// Code of every mistake in a step's parameters.
pub(crate) const CODE: &str = "step.params";

/// A mistake in one field.
pub(crate) fn bad(field: &str, reason: impl Display) -> ActionError {
    ActionError::fail(CODE, format!("{field}: {reason}")).next_step("change the step's parameters")
}

/// Reads rendered parameters.
pub(crate) fn read<T: DeserializeOwned>(params: Value) -> Result<T, ActionError> {
    serde_json::from_value(params.clone()).map_err(|error| {
        let message = error.to_string();
        match culprit::<T>(&params, &message) {
            Some(field) => bad(&field, message),
            None => bad("with", message),
        }
    })
}

/// The field without which the same mistake is no longer made.
fn culprit<T: DeserializeOwned>(params: &Value, message: &str) -> Option<String> {
    let map = params.as_object()?;
    map.keys().find_map(|key| {
        let mut without = map.clone();
        without.remove(key);
        let still = serde_json::from_value::<T>(Value::Object(without))
            .err()
            .map(|error| error.to_string());
        (still.as_deref() != Some(message)).then(|| key.clone())
    })
}

/// Reads an id written as text.
pub(crate) fn id<K: IdKind>(field: &str, text: &str) -> Result<Id<K>, ActionError> {
    text.trim().parse().map_err(|_| {
        bad(
            field,
            format!("{} is no id of the form {}_…", shown(text), K::PREFIX),
        )
    })
}

/// A value as messages show it: one line, short.
pub(crate) fn shown(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let mut short: String = text
        .chars()
        .filter(|c| !c.is_control())
        .take(SHOWN_MAX)
        .collect();
    if text.chars().count() > SHOWN_MAX {
        short.push('…');
    }
    format!("\"{short}\"")
}

/// The closed schema of a parameter struct, without references.
pub(crate) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12()
        .for_deserialize()
        .with(|s| s.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value();
    if let Some(map) = schema.as_object_mut() {
        map.remove("$schema");
        map.remove("title");
        map.remove("description");
    }
    schema
}

/// An action's description.
pub(crate) fn spec<T: JsonSchema>(
    kind: &str,
    title: &str,
    description: &str,
    sample_output: Value,
    emits: &[&str],
) -> ActionSpec {
    ActionSpec {
        kind: kind.into(),
        title: title.into(),
        description: description.into(),
        params_schema: schema::<T>(),
        is_remote: false,
        sample_output,
        emits: emits.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;
    use so_model::id::{PostId, kind::Post};

    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        /// The text.
        text: String,
        #[serde(default)]
        labels: Vec<String>,
    }

    #[test]
    fn a_mistake_names_its_field() {
        let error = read::<Sample>(json!({"text": "a", "labels": [1]})).unwrap_err();
        assert!(error.message.starts_with("labels: "), "{error}");
        let error = read::<Sample>(json!({"text": null})).unwrap_err();
        assert!(error.message.starts_with("text: "), "{error}");
        let error = read::<Sample>(json!({"labels": []})).unwrap_err();
        assert!(error.message.contains("`text`"), "{error}");
    }

    #[test]
    fn the_schema_is_closed_and_tells_what_fields_mean() {
        let schema = schema::<Sample>();
        assert_eq!(schema["additionalProperties"], false);
        assert_eq!(schema["properties"]["text"]["description"], "The text.");
        assert!(schema.get("$defs").is_none());
    }

    #[test]
    fn an_id_of_another_kind_is_refused_with_the_form_wanted() {
        let error = id::<Post>("post", "acct_01890a5dac96774bbcceb302099a8057").unwrap_err();
        assert!(error.message.contains("post_…"), "{error}");
        let wanted: PostId = "post_01890a5dac96774bbcceb302099a8057".parse().unwrap();
        assert_eq!(
            id::<Post>("post", " post_01890a5dac96774bbcceb302099a8057 ").unwrap(),
            wanted
        );
    }
}
