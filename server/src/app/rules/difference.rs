//! Two versions of a rule compared, in sentences and in lines.
//!
//! Invariant: whoever may not see a secret of a rule sees it in no difference either.

use so_engine::{
    blueprint::line_diff,
    rule::difference::{cases_difference, difference},
};
use so_model::{
    api::{
        rule::RuleInput,
        version::{DifferenceQuery, RuleDifference},
    },
    case::Case,
    id::RuleId,
    rule::RuleDocument,
    workspace::Role,
};
use so_store::rules::RuleRow;

use super::{
    cases::{beside, gathered},
    document::{check, refusal, text_of},
    drafts::{current, text_of_draft},
    mask::hide,
    read::{find, find_version},
};
use crate::app::{
    App,
    failure::{Failure, Outcome},
    members::Actor,
};

/// One of the two.
struct Side {
    name: String,
    document: RuleDocument,
    yaml: String,
    cases: Vec<Case>,
}

/// Compares two versions of a rule, or a version with the draft.
pub async fn compare(
    app: &App,
    actor: Actor,
    id: RuleId,
    query: &DifferenceQuery,
) -> Outcome<RuleDifference> {
    let row = find(&mut app.reader(), actor.workspace, id).await?;
    let to = query.to.as_deref().unwrap_or("live");
    let former = match to {
        "draft" => row.version,
        "live" => (row.version - 1).max(1),
        number => (number.parse().unwrap_or(row.version) - 1_i64).max(1),
    };
    let former = former.to_string();
    let from = query.from.as_deref().unwrap_or(&former);
    let one = side(app, actor, &row, from, "/from").await?;
    let other = side(app, actor, &row, to, "/to").await?;
    let work = move || {
        let mut changes = difference(&one.document, &other.document);
        changes.extend(cases_difference(&one.cases, &other.cases));
        RuleDifference {
            changes,
            lines: line_diff(&one.yaml, &other.yaml),
            from: one.name,
            to: other.name,
        }
    };
    app.bench.work(work).await
}

async fn side(app: &App, actor: Actor, row: &RuleRow, name: &str, pointer: &str) -> Outcome<Side> {
    let workspace = actor.workspace;
    let number = match name {
        "draft" => return draft(app, actor, row).await,
        "live" => row.version,
        other => other
            .parse()
            .map_err(|_| Failure::field(pointer, "is no version", "a number, live or draft"))?,
    };
    let found = find_version(&mut app.reader(), workspace, row.id, number).await?;
    let mut yaml = text_of(&found.document, &found.source, true)?;
    let shown = yaml.clone();
    let mut document = found.document;
    hide(actor.role, &mut document, &mut yaml)?;
    let beside = beside(app, workspace, row.id, number).await?;
    // Stored cases were read before they were stored; those of an older server may say what this one does not know.
    let cases = match yaml == shown {
        true => gathered(&found.source, &beside).unwrap_or_default(),
        false => Vec::new(),
    };
    Ok(Side {
        name: number.to_string(),
        document,
        yaml,
        cases,
    })
}

// A draft may hold anything, a secret where none is known to stand: it is for those who may write it.
async fn draft(app: &App, actor: Actor, row: &RuleRow) -> Outcome<Side> {
    if actor.role < Role::Admin {
        return Err(Failure::new(
            403,
            "rule_draft.hidden",
            "Only admins and owners see drafts",
        )
        .next_step("Ask an admin of the workspace."));
    }
    let draft = current(app, actor.workspace, row.id).await?;
    let input = RuleInput {
        text: Some(text_of_draft(&draft)),
        rule: Some(row.id),
        ..RuleInput::default()
    };
    let checked = check(app, Some(actor.workspace), input).await?;
    let document = checked.document.ok_or_else(|| refusal(checked.errors))?;
    let around = match draft.cases {
        Some(cases) => cases,
        None => beside(app, actor.workspace, row.id, draft.base_version).await?,
    };
    Ok(Side {
        name: "draft".into(),
        cases: gathered(&draft.text, &around).unwrap_or_default(),
        yaml: checked.yaml.unwrap_or(draft.text),
        document: RuleDocument {
            enabled: true,
            ..document
        },
    })
}
