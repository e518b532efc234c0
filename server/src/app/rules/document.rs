//! From what a client sent to a document that can be stored, and back to text.
//!
//! Owns the two forms of input and the author's text. Invariant: the same mistakes are told for both forms;
//! a text also tells line and column.

use serde_json::Value;
use so_engine::{
    Engine,
    rule::{Format, Validated, analysis::Around, parse, to_yaml, validate_within},
    script::ScriptEngine,
};
use so_model::{
    api::rule::{RuleCheck, RuleFormat, RuleInput, RuleText},
    id::{RuleId, WorkspaceId},
    problem::FieldError,
    rule::RuleDocument,
};

use super::around::Surroundings;
use crate::app::{
    App,
    failure::{Failure, Outcome},
};

/// A document that may be stored.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::app) struct Ready {
    /// The document; `enabled` is always true in it, the row says what holds.
    pub document: RuleDocument,
    /// The author's YAML; empty for other forms.
    pub source: String,
    /// What is allowed but probably not meant.
    pub warnings: Vec<FieldError>,
    /// What is good to know.
    pub notes: Vec<FieldError>,
    /// What the author wrote for `enabled`, if anything.
    pub says_enabled: Option<bool>,
}

/// Reads and checks what a client sent, or tells every mistake.
pub(super) async fn ready(app: &App, workspace: WorkspaceId, input: RuleInput) -> Outcome<Ready> {
    judge(app, Some(workspace), input).await?.map_err(refusal)
}

/// Checks documents against what is there now, with a library that is not stored yet.
pub(in crate::app) struct Judge(Surroundings);

impl Judge {
    /// One for a workspace.
    pub async fn with(app: &App, workspace: WorkspaceId, scripts: &ScriptEngine) -> Outcome<Self> {
        let mut around = Surroundings::of(app, workspace, None).await?;
        around.scripts = Some(scripts.clone());
        Ok(Self(around))
    }

    /// Reads and checks what a client sent, or tells every mistake.
    pub async fn ready(
        &self,
        app: &App,
        input: RuleInput,
    ) -> Outcome<Result<Ready, Vec<FieldError>>> {
        let around = self.0.clone().of_rule(input.rule);
        judge_within(app, Some(around), input).await
    }
}

/// Checks without storing.
///
/// Without a workspace only what the document itself says is looked at.
pub async fn check(
    app: &App,
    workspace: Option<WorkspaceId>,
    input: RuleInput,
) -> Outcome<RuleCheck> {
    Ok(match judge(app, workspace, input).await? {
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
                notes: ready.notes,
                document: Some(document),
                yaml: Some(yaml),
            }
        }
        Err(errors) => RuleCheck {
            is_valid: false,
            errors,
            warnings: Vec::new(),
            notes: Vec::new(),
            document: None,
            yaml: None,
        },
    })
}

/// The mistakes and warnings of a stored document on this server.
pub(super) async fn review(
    app: &App,
    workspace: WorkspaceId,
    rule: RuleId,
    document: &RuleDocument,
) -> Outcome<Result<Vec<FieldError>, Vec<FieldError>>> {
    let value = serde_json::to_value(document).unwrap_or_default();
    let judged = judge(
        app,
        Some(workspace),
        RuleInput {
            document: Some(value),
            text: None,
            rule: Some(rule),
        },
    )
    .await?;
    Ok(judged.map(|ready| ready.warnings))
}

/// The answer to a document with mistakes.
pub(in crate::app) fn refusal(errors: Vec<FieldError>) -> Failure {
    let count = errors.len();
    let plural = if count == 1 { "" } else { "s" };
    let mut failure = Failure::new(422, "rule.invalid", "The rule has mistakes")
        .detail(format!("{count} mistake{plural} found."))
        .next_step("Correct what is named and save again.");
    failure.problem.errors = errors;
    failure
}

// Compiling every script of a large document takes a moment; requests of others must not wait for it.
async fn judge(
    app: &App,
    workspace: Option<WorkspaceId>,
    input: RuleInput,
) -> Outcome<Result<Ready, Vec<FieldError>>> {
    let around = match workspace {
        Some(workspace) => Some(Surroundings::of(app, workspace, input.rule).await?),
        None => None,
    };
    judge_within(app, around, input).await
}

async fn judge_within(
    app: &App,
    around: Option<Surroundings>,
    input: RuleInput,
) -> Outcome<Result<Ready, Vec<FieldError>>> {
    let engine = app.engine.clone();
    let work = move || match (input.document, input.text) {
        (Some(document), None) => judge_document(&engine, &document, around),
        (None, Some(text)) => judge_text(&engine, &text, around),
        _ => Err(vec![
            FieldError::new("", "holds both a document and a text, or neither")
                .expected("one of document and text"),
        ]),
    };
    app.bench.work(work).await
}

fn judge_document(
    engine: &Engine,
    document: &Value,
    around: Option<Surroundings>,
) -> Result<Ready, Vec<FieldError>> {
    // Written and read again, so that size, depth and number of values meet the bounds of texts.
    let (value, _) = parse(&document.to_string(), Format::Json)
        .map_err(|errors| errors.into_iter().map(unplaced).collect::<Vec<_>>())?;
    let around = around.map(|around| around.without_former(value["name"].as_str()));
    let known = around.as_ref().map(Surroundings::around);
    let scripts = around.as_ref().and_then(|around| around.scripts.as_ref());
    let scripts = scripts.unwrap_or(&engine.scripts);
    let checked = examine(engine, scripts, &value, &known.unwrap_or_default())?;
    Ok(finish(&value, checked, String::new()))
}

/// The check of the grammar, and of schedules, which only their triggers understand.
pub(in crate::app) fn examine(
    engine: &Engine,
    scripts: &ScriptEngine,
    value: &Value,
    around: &Around<'_>,
) -> Result<Validated, Vec<FieldError>> {
    let checked = validate_within(value, engine.plugins.catalogue(), scripts, around)?;
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

fn judge_text(
    engine: &Engine,
    text: &RuleText,
    around: Option<Surroundings>,
) -> Result<Ready, Vec<FieldError>> {
    let format = match text.format {
        RuleFormat::Json => Format::Json,
        RuleFormat::Yaml => Format::Yaml,
    };
    let (mut value, places) = parse(&text.text, format)?;
    // The author's cases stay in the text; they are no part of the document.
    if let Some(own) = so_engine::cases::split(&mut value) {
        so_engine::cases::of_list(own).map_err(|mut errors| {
            places.annotate(&mut errors);
            errors
        })?;
    }
    let around = around.map(|around| around.without_former(value["name"].as_str()));
    let known = around.as_ref().map(Surroundings::around);
    let scripts = around.as_ref().and_then(|around| around.scripts.as_ref());
    let scripts = scripts.unwrap_or(&engine.scripts);
    let examined = examine(engine, scripts, &value, &known.unwrap_or_default());
    let mut checked = examined.map_err(|mut errors| {
        places.annotate(&mut errors);
        errors
    })?;
    places.annotate(&mut checked.warnings);
    places.annotate(&mut checked.notes);
    let source = if format == Format::Yaml {
        text.text.clone()
    } else {
        String::new()
    };
    Ok(finish(&value, checked, source))
}

fn finish(value: &Value, checked: Validated, source: String) -> Ready {
    Ready {
        document: RuleDocument {
            enabled: true,
            ..checked.document
        },
        source,
        warnings: checked.warnings,
        notes: checked.notes,
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
