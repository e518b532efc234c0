//! The form a network asks for, drawn from its manifest.
//!
//! Owns the fields' values. Never knows a network. Invariant: a secret is typed unseen and leaves the page only in the
//! request.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use so_model::network::{FormField, Manifest, SignInForm};
use so_model::problem::{FieldError, Problem};
use sycamore::prelude::*;

use crate::act::Act;
use crate::components::{PasswordField, TextField};

/// The fields of a network's form.
pub fn fields(manifest: &Manifest) -> &[FormField] {
    match &manifest.sign_in {
        SignInForm::Instant { fields }
        | SignInForm::Credentials { fields }
        | SignInForm::OAuth { fields, .. } => fields,
    }
}

/// What the button says.
pub fn verb(manifest: &Manifest) -> String {
    match manifest.sign_in {
        SignInForm::Instant { .. } => "Make the account".into(),
        SignInForm::Credentials { .. } => "Connect".into(),
        SignInForm::OAuth { .. } => format!("Continue to {}", manifest.name),
    }
}

/// What will happen, in a sentence.
pub fn intro(manifest: &Manifest) -> &'static str {
    match manifest.sign_in {
        SignInForm::Instant { .. } => "It is there at once, inside this server. Nothing leaves it.",
        SignInForm::Credentials { .. } => {
            "What you type is sealed on this server and never shown again."
        }
        SignInForm::OAuth { .. } => {
            "You sign in at the network and come back here. Your password stays there."
        }
    }
}

/// One signal for each field.
pub type Values = BTreeMap<String, Signal<String>>;

/// Empty values in the current scope.
pub fn values(fields: &[FormField]) -> Values {
    fields
        .iter()
        .map(|field| (field.key.clone(), create_signal(String::new())))
        .collect()
}

/// What is sent: every field that was filled in.
pub fn filled(values: &Values) -> Map<String, Value> {
    let pairs = values
        .iter()
        .map(|(key, value)| (key.clone(), value.get_clone_untracked()));
    written(pairs)
}

fn written(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    pairs
        .map(|(key, text)| (key, text.trim().to_owned()))
        .filter(|(_, text)| !text.is_empty())
        .map(|(key, text)| (key, Value::String(text)))
        .collect()
}

/// What is missing, before anything is sent.
pub fn missing(fields: &[FormField], form: &Map<String, Value>) -> Option<Problem> {
    let errors: Vec<FieldError> = fields
        .iter()
        .filter(|field| !field.is_optional && !form.contains_key(&field.key))
        .map(|field| FieldError::new(format!("/form/{}", field.key), "is needed"))
        .collect();
    (!errors.is_empty())
        .then(|| Problem::new(0, "client.form", "Something is missing").with_errors(errors))
}

/// The fields, each with its help and its error.
pub fn view(fields: Vec<FormField>, values: &Values, act: Act) -> View {
    let drawn: Vec<View> = fields
        .into_iter()
        .filter_map(|field| Some((*values.get(&field.key)?, field)))
        .map(|(value, field)| one(value, field, act))
        .collect();
    drawn.into()
}

fn one(value: Signal<String>, field: FormField, act: Act) -> View {
    let error = act.error(format!("/form/{}", field.key));
    if field.is_secret {
        return view! {
            PasswordField(label=field.label, value=value, autocomplete="off", hint=field.help, error=error)
        };
    }
    view! {
        TextField(label=field.label, value=value, placeholder=field.placeholder, hint=field.help, optional=field.is_optional, error=error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(key: &str, is_optional: bool) -> FormField {
        FormField {
            key: key.into(),
            label: key.into(),
            help: String::new(),
            is_secret: false,
            is_optional,
            placeholder: String::new(),
        }
    }

    #[test]
    fn only_what_is_needed_and_empty_is_missing_and_blanks_are_empty() {
        let fields = [field("instance", false), field("note", true)];
        let form = written([("instance".to_owned(), "  ".to_owned())].into_iter());
        let problem = missing(&fields, &form).unwrap();
        assert_eq!(problem.errors.len(), 1);
        assert_eq!(problem.errors[0].pointer, "/form/instance");
        let form = written([("instance".to_owned(), " social.example ".to_owned())].into_iter());
        assert_eq!(form["instance"], "social.example");
        assert_eq!(missing(&fields, &form), None);
    }
}
