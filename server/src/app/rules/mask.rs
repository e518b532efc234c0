//! Rules as those see them who may not change them.
//!
//! Owns the hiding of secrets that authors wrote into parameters. Must not decide who is concerned. Invariant:
//! what is hidden stands neither in the document nor in the text; a text with hidden parts is made from the
//! document, as the author's own could hold a secret in any form.

use serde_json::Value;
use so_model::{rule::RuleDocument, secret_name::is_secret_name, workspace::Role};

use super::document::text_of;
use crate::app::failure::{Failure, Outcome};

/// Stands for a secret.
const HIDDEN: &str = "***";
/// Members of a document that hold parameters.
const PARAMETERS: [&str; 2] = ["with", "set"];

/// Hides secrets in a document and its text from those who may not change rules.
pub(super) fn hide(role: Role, document: &mut RuleDocument, yaml: &mut String) -> Outcome<()> {
    if role >= Role::Admin {
        return Ok(());
    }
    let mut value = serde_json::to_value(&*document).map_err(|_| Failure::internal())?;
    if !hide_in(&mut value, false) {
        return Ok(());
    }
    *document = serde_json::from_value(value).map_err(|_| Failure::internal())?;
    *yaml = text_of(document, "", document.enabled)?;
    Ok(())
}

/// Hides values by their names; answers whether there were any. Documents are of bounded depth.
fn hide_in(value: &mut Value, is_parameter: bool) -> bool {
    match value {
        Value::Object(fields) => {
            let is_pair = is_parameter && names_a_secret(fields);
            let mut found = false;
            for (name, inner) in fields.iter_mut() {
                let is_secret = is_parameter && is_secret_name(name) || is_pair && name == "value";
                if is_secret && !inner.is_null() {
                    *inner = HIDDEN.into();
                    found = true;
                } else {
                    let within = is_parameter || PARAMETERS.contains(&name.as_str());
                    found |= hide_in(inner, within);
                }
            }
            found
        }
        Value::Array(items) => {
            let mut found = false;
            for item in items {
                found |= hide_in(item, is_parameter);
            }
            found
        }
        _ => false,
    }
}

// `{name: Authorization, value: …}`, as many services take lists of headers.
fn names_a_secret(fields: &serde_json::Map<String, Value>) -> bool {
    let name = fields.get("name").or_else(|| fields.get("key"));
    name.and_then(Value::as_str).is_some_and(is_secret_name)
}
