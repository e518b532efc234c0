//! The rules a workspace begins with, and the blueprints it is offered.
//!
//! Owns their list; the rules themselves are text in `rules-examples`. Must not
//! install anything: the server does. Invariant: each one passes [`check_starters`].

mod blueprints;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use so_engine::{
    cases::{self, Ground},
    rule::{Catalogue, Format, parse, validate},
    script::ScriptEngine,
};
use so_model::problem::FieldError;

pub use blueprints::BLUEPRINTS;

/// A rule that comes with the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Starter {
    /// Folder in `rules-examples`; kept with installed rules.
    pub name: &'static str,
    /// The rule document.
    pub yaml: &'static str,
    /// What it does with which event.
    pub cases: &'static str,
    /// Installed into every new workspace; the others are blueprints.
    pub installed_by_default: bool,
}

macro_rules! starter {
    ($name:literal, $installed:literal) => {
        Starter {
            name: $name,
            yaml: include_str!(concat!("../../../rules-examples/", $name, "/rule.yaml")),
            cases: include_str!(concat!("../../../rules-examples/", $name, "/cases.yaml")),
            installed_by_default: $installed,
        }
    };
}

/// Every rule that comes with the product.
///
/// `feed-tagged` is none of them: it calls the library in `lib`, and a new workspace has none. Its cases are tried
/// with the other files of the folder, by the server's tests.
pub fn starters() -> Vec<Starter> {
    vec![
        starter!("publish-when-due", true),
        starter!("recurring-posts", true),
        starter!("requeue-evergreen", true),
        starter!("notify-failures", true),
        starter!("feed-to-queue", false),
        starter!("webhook-to-draft", false),
        starter!("weekly-recap", false),
    ]
}

/// Checks every starter against everything the server offers: it is valid
/// without a warning, compiles, and does in its cases what they say.
///
/// Answers what is wrong; the server's tests call it with the full catalogue.
pub fn check_starters(catalogue: &Catalogue, scripts: &ScriptEngine) -> Vec<String> {
    starters()
        .iter()
        .flat_map(|starter| check(starter, catalogue, scripts))
        .collect()
}

fn check(starter: &Starter, catalogue: &Catalogue, scripts: &ScriptEngine) -> Vec<String> {
    let told = |errors: Vec<FieldError>| -> Vec<String> {
        errors
            .iter()
            .map(|error| {
                format!(
                    "{}: {} {} {}",
                    starter.name, error.pointer, error.reason, error.expected
                )
            })
            .collect()
    };
    let value = match parse(starter.yaml, Format::Yaml) {
        Ok((value, _)) => value,
        Err(errors) => return told(errors),
    };
    let validated = match validate(&value, catalogue, scripts) {
        Ok(validated) => validated,
        Err(errors) => return told(errors),
    };
    if !validated.warnings.is_empty() {
        return told(validated.warnings);
    }
    let ground = Ground {
        catalogue,
        plugins: None,
        scripts,
    };
    let compiled = match cases::compile(Arc::new(validated.document), ground) {
        Ok(compiled) => compiled,
        Err(errors) => return told(errors),
    };
    let file = match cases::read(starter.cases) {
        Ok(file) => file,
        Err(errors) => return told(errors),
    };
    let report = cases::run_all(&file.cases, &compiled, ground);
    let failed = report.results.into_iter().filter_map(|result| {
        let problem = result.problem?;
        Some(format!("{}, {}: {problem}", starter.name, result.name))
    });
    failed.collect()
}
