//! What a sign-in form may hold, and what a network's error means for whoever asked.
//!
//! Invariant: a value of a form is never part of an error.

use serde_json::{Map, Value};
use so_connectors::{ConnectorError, ErrorClass};
use so_model::{
    network::{FormField, Manifest, SignInForm},
    problem::{FieldError, Problem},
    time::SECOND,
};

use crate::{
    app::failure::{Failure, Outcome},
    config::nearest,
};

/// Longest value of a field; tokens have some hundred characters.
const VALUE_MAX: usize = 4000;

fn fields(manifest: &Manifest) -> &[FormField] {
    match &manifest.sign_in {
        SignInForm::Instant { fields }
        | SignInForm::Credentials { fields }
        | SignInForm::OAuth { fields, .. } => fields,
    }
}

/// Checks a form against what the network asks for.
pub(super) fn check(manifest: &Manifest, form: &Map<String, Value>) -> Outcome<()> {
    let known = fields(manifest);
    let mut errors = Vec::new();
    for (key, value) in form {
        let pointer = format!("/form/{}", key.replace('~', "~0").replace('/', "~1"));
        if !known.iter().any(|field| field.key == *key) {
            let near =
                nearest(key, known.iter().map(|field| field.key.as_str())).map(str::to_string);
            errors.push(FieldError::new(pointer, "is not asked for").suggest(near));
        } else if value
            .as_str()
            .is_none_or(|text| text.len() > VALUE_MAX || text.chars().any(char::is_control))
        {
            errors.push(
                FieldError::new(pointer, "is no line of text")
                    .expected(format!("at most {VALUE_MAX} characters")),
            );
        }
    }
    for field in known.iter().filter(|field| !field.is_optional) {
        let is_empty = form
            .get(&field.key)
            .is_none_or(|value| value.as_str().is_some_and(|text| text.trim().is_empty()));
        if is_empty {
            let pointer = format!("/form/{}", field.key);
            errors.push(FieldError::new(pointer, "is missing").expected(field.label.clone()));
        }
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(Failure::invalid(errors))
    }
}

/// What a network's error means; fields get their place in the request.
pub(super) fn failure(error: ConnectorError, base: &str) -> Failure {
    let status = match error.class {
        ErrorClass::Content | ErrorClass::Config => 422,
        ErrorClass::Expired
        | ErrorClass::Reconnect
        | ErrorClass::AccountProblem
        | ErrorClass::Gone => 409,
        ErrorClass::RateLimited => 429,
        ErrorClass::Transient => 503,
        ErrorClass::Unknown => 502,
    };
    let errors = error
        .field
        .map(|field| FieldError::new(format!("{base}{field}"), error.message.clone()));
    let problem = Problem::new(status, error.code, "The network did not accept this")
        .detail(error.message)
        .next_step(error.next_step)
        .with_errors(errors.into_iter().collect());
    let mut failure = Failure::from(problem);
    if failure.problem.next_step.is_empty() {
        failure = failure.next_step("Correct what is named and try again.");
    }
    match error.retry_after {
        Some(wait) => failure.retry_after(wait / SECOND),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pointers(manifest: &Manifest, form: Value) -> Vec<String> {
        let Value::Object(form) = form else {
            unreachable!()
        };
        match check(manifest, &form) {
            Ok(()) => Vec::new(),
            Err(failure) => failure
                .problem
                .errors
                .into_iter()
                .map(|error| error.pointer)
                .collect(),
        }
    }

    #[tokio::test]
    async fn a_form_holds_what_the_network_asks_for_and_nothing_else() {
        let test = crate::testing::TestApp::new().await;
        let sandbox = test.app.access.connectors().find("sandbox").unwrap();
        let manifest = sandbox.manifest();
        assert!(pointers(manifest, json!({"name": "Trial"})).is_empty());
        assert_eq!(pointers(manifest, json!({"name": " "})), ["/form/name"]);
        assert_eq!(
            pointers(manifest, json!({"nam": "Trial"})),
            ["/form/nam", "/form/name"]
        );
        assert_eq!(pointers(manifest, json!({"name": 5})), ["/form/name"]);
        assert_eq!(pointers(manifest, json!({"name": "a\nb"})), ["/form/name"]);
    }
}
