//! Rules as they might be, as people hand them in to a forecast or a simulation.
//!
//! Owns how they are checked. Invariant: what is handed on was accepted by the check that saved rules go through, and no
//! rule has two drafts.

use std::collections::BTreeSet;

use so_engine::forecast::Draft;
use so_model::{
    api::{forecast::ForecastDraft, rule::RuleInput},
    id::WorkspaceId,
    problem::FieldError,
};

use super::{
    App,
    failure::{Failure, Outcome},
    rules,
};

/// Drafts of a request, checked as saved rules are.
pub(super) async fn drafts(
    app: &App,
    workspace: WorkspaceId,
    asked: Vec<ForecastDraft>,
    most: usize,
) -> Outcome<Vec<Draft>> {
    if asked.len() > most {
        let expected = format!("at most {most}");
        return Err(Failure::field("/drafts", "are too many", expected));
    }
    let mut replaced = BTreeSet::new();
    for (index, draft) in asked.iter().enumerate() {
        if draft.rule.is_some_and(|rule| !replaced.insert(rule)) {
            let field = format!("/drafts/{index}/rule");
            let reason = "is the rule of an earlier draft as well";
            return Err(Failure::field(&field, reason, "one draft for each rule"));
        }
    }
    let mut drafts = Vec::with_capacity(asked.len());
    for (index, draft) in asked.into_iter().enumerate() {
        if draft.document.is_none() && draft.text.is_none() {
            let field = format!("/drafts/{index}");
            let expected = "a rule in document or text";
            return Err(Failure::field(&field, "holds no rule", expected));
        }
        let input = RuleInput {
            document: draft.document,
            text: draft.text,
            ..RuleInput::default()
        };
        let checked = rules::check(app, Some(workspace), input).await?;
        let Some(document) = checked.document else {
            return Err(mistaken(index, checked.errors));
        };
        let rule = draft.rule;
        drafts.push(Draft { rule, document });
    }
    Ok(drafts)
}

/// A draft has mistakes; their places are told within the request.
pub(super) fn mistaken(index: usize, errors: Vec<FieldError>) -> Failure {
    let mut failure = Failure::new(422, "rule.invalid", "A draft has mistakes")
        .next_step("Correct what is named and try again.");
    let within = |error: FieldError| FieldError {
        pointer: format!("/drafts/{index}{}", error.pointer),
        ..error
    };
    failure.problem.errors = errors.into_iter().map(within).collect();
    failure
}
