//! Tokens while they are in use.
//!
//! Owns the one type that carries a secret through connectors. Must not be
//! serialised: the server seals what [`SecretValue::expose`] shows and nothing
//! else reads it. Invariant: printing one prints `***`.

use std::fmt;

use serde_json::Value;
use zeroize::Zeroize;

/// A secret JSON document: tokens, app credentials, a pending sign-in.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct SecretValue(Value);

impl SecretValue {
    /// Takes a document into custody.
    pub fn new(value: Value) -> Self {
        Self(value)
    }

    /// The document, for sealing it or for putting it on the wire.
    pub fn expose(&self) -> &Value {
        &self.0
    }

    /// A text member of the document.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).and_then(Value::as_str)
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl fmt::Display for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Drop for SecretValue {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(map) => map.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_secret_prints_as_stars() {
        let secret = SecretValue::new(json!({"access_token": "hush"}));
        assert_eq!(
            format!("{secret} {secret:?} {:?}", Some(&secret)),
            "*** *** Some(***)"
        );
        assert_eq!(secret.text("access_token"), Some("hush"));
    }

    #[test]
    fn dropping_wipes_every_text() {
        let mut value = json!({"a": ["hush", {"b": "hush"}], "n": 1});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}], "n": 1}));
    }
}
