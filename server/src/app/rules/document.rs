//! From what a client sent to a document that can be stored, and back to text.
//!
//! Owns the two forms of input and the author's text. Invariant: the same mistakes are told for both forms;
//! a text also tells line and column.

use serde_json::Value;
use so_engine::{
    Engine,
    rule::{Format, Validated, parse, to_yaml, validate},
};
use so_model::{
    api::rule::{RuleCheck, RuleFormat, RuleInput, RuleText},
    problem::FieldError,
    rule::RuleDocument,
};

use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// A document that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ready {
    /// The document; `enabled` is always true in it, the row says what holds.
    pub document: RuleDocument,
    /// The author's YAML; empty for other forms.
    pub source: String,
    /// What is allowed but probably not meant.
    pub warnings: Vec<FieldError>,
    /// What the author wrote for `enabled`, if anything.
    pub says_enabled: Option<bool>,
}

/// Reads and checks what a client sent, or tells every mistake.
pub(super) async fn ready(app: &App, input: RuleInput) -> Outcome<Ready> {
    judge(app, input).await?.map_err(refusal)
}

/// Checks without storing.
pub async fn check(app: &App, input: RuleInput) -> Outcome<RuleCheck> {
    Ok(match judge(app, input).await? {
        Ok(ready) => {
            let enabled = ready.says_enabled.unwrap_or(true);
            let yaml = text_of(&ready.document, &ready.source, enabled)?;
            let document = RuleDocument {
                enabled,
                ..ready.document
            };
            RuleCheck {
                is_valid: true,
                errors: Vec::new(),
                warnings: ready.warnings,
                document: Some(document),
                yaml: Some(yaml),
            }
        }
        Err(errors) => RuleCheck {
            is_valid: false,
            errors,
            warnings: Vec::new(),
            document: None,
            yaml: None,
        },
    })
}

/// The mistakes and warnings of a stored document on this server.
pub(super) async fn review(
    app: &App,
    document: &RuleDocument,
) -> Outcome<Result<Vec<FieldError>, Vec<FieldError>>> {
    let value = serde_json::to_value(document).unwrap_or_default();
    let judged = judge(
        app,
        RuleInput {
            document: Some(value),
            text: None,
        },
    )
    .await?;
    Ok(judged.map(|ready| ready.warnings))
}

/// The answer to a document with mistakes.
pub(super) fn refusal(errors: Vec<FieldError>) -> Failure {
    let count = errors.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut failure = Failure::new(422, "rule.invalid", "The rule has mistakes")
        .detail(format!("{count} mistake{plural} found."))
        .next_step("Correct what is named and save again.");
    failure.problem.errors = errors;
    failure
}

// Compiling every script of a large document takes a moment; requests of others must not wait for it.
async fn judge(app: &App, input: RuleInput) -> Outcome<Result<Ready, Vec<FieldError>>> {
    let engine = app.engine.clone();
    let work = move || match (input.document, input.text) {
        (Some(document), None) => judge_document(&engine, &document),
        (None, Some(text)) => judge_text(&engine, &text),
        _ => Err(vec![
            FieldError::new("", "holds both a document and a text, or neither")
                .expected("one of document and text"),
        ]),
    };
    app.bench.work(work).await
}

fn judge_document(engine: &Engine, document: &Value) -> Result<Ready, Vec<FieldError>> {
    // Written and read again, so that size, depth and number of values meet the bounds of texts.
    let (value, _) = parse(&document.to_string(), Format::Json)
        .map_err(|errors| errors.into_iter().map(unplaced).collect::<Vec<_>>())?;
    let checked = examine(engine, &value)?;
    Ok(finish(
        &value,
        checked.document,
        String::new(),
        checked.warnings,
    ))
}

/// The check of the grammar, and of schedules, which only their triggers understand.
pub(super) fn examine(engine: &Engine, value: &Value) -> Result<Validated, Vec<FieldError>> {
    let checked = validate(value, engine.plugins.catalogue(), &engine.scripts)?;
    let mut errors = Vec::new();
    for (index, trigger) in checked.document.triggers.iter().enumerate() {
        let Some(plugin) = engine.plugins.trigger(&trigger.kind) else {
            continue;
        };
        // Any zone will do: the workspace's own was checked when it was set.
        if let Err(mut error) = plugin.schedule(&trigger.with, "UTC") {
            error
                .pointer
                .insert_str(0, &format!("/triggers/{index}/with"));
            errors.push(error);
        }
    }
    if errors.is_empty() {
        Ok(checked)
    } else {
        Err(errors)
    }
}

fn unplaced(error: FieldError) -> FieldError {
    FieldError {
        line: None,
        column: None,
        ..error
    }
}

fn judge_text(engine: &Engine, text: &RuleText) -> Result<Ready, Vec<FieldError>> {
    let format = match text.format {
        RuleFormat::Json => Format::Json,
        RuleFormat::Yaml => Format::Yaml,
    };
    let (value, places) = parse(&text.text, format)?;
    let mut checked = examine(engine, &value).map_err(|mut errors| {
        places.annotate(&mut errors);
        errors
    })?;
    places.annotate(&mut checked.warnings);
    let source = if format == Format::Yaml {
        text.text.clone()
    } else {
        String::new()
    };
    Ok(finish(&value, checked.document, source, checked.warnings))
}

fn finish(
    value: &Value,
    mut document: RuleDocument,
    source: String,
    warnings: Vec<FieldError>,
) -> Ready {
    document.enabled = true;
    Ready {
        document,
        source,
        warnings,
        says_enabled: value["enabled"].as_bool(),
    }
}

/// The YAML of a document: the author's own where there is one, with the switch as it stands now.
pub(super) fn text_of(document: &RuleDocument, source: &str, enabled: bool) -> Outcome<String> {
    if !source.is_empty() {
        return Ok(with_switch(source, enabled));
    }
    let shown = RuleDocument {
        enabled,
        ..document.clone()
    };
    to_yaml(&shown).map_err(|error| {
        tracing::error!(%error, "a rule could not be written as YAML");
        Failure::internal()
    })
}

// A top-level key begins its line; anything indented belongs to something else.
fn with_switch(source: &str, enabled: bool) -> String {
    let line = |line: &str| match line.strip_prefix("enabled:") {
        Some(rest) => {
            let comment = rest.find(" #").map_or("", |at| &rest[at..]);
            format!("enabled: {enabled}{comment}")
        }
        None => line.to_string(),
    };
    source.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::with_switch;

    #[test]
    fn the_authors_text_shows_the_switch_as_it_stands_and_keeps_comments() {
        let source = "name: x # n\nenabled: true # for now\nsteps:\n  - with: {enabled: true}\n    enabled: true\n";
        let shown = with_switch(source, false);
        assert_eq!(
            shown,
            "name: x # n\nenabled: false # for now\nsteps:\n  - with: {enabled: true}\n    enabled: true\n"
        );
        assert_eq!(with_switch("name: x\n", false), "name: x\n");
    }
}
