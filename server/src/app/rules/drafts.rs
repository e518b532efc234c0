//! Drafts of rules: kept with their mistakes, told with what they would change, published like any other version.
//!
//! Invariant: a draft changes nothing that runs; what goes live was made from the version that is live.

use serde_json::Value;
use so_engine::rule::{Format, difference::difference, parse};
use so_model::{
    api::{
        rule::{PutRule, RuleCheck, RuleDetail, RuleFormat, RuleInput, RuleText},
        version::{PublishDraft, PutDraft, RuleDraftView},
    },
    difference::RuleChange,
    id::{RuleId, WorkspaceId},
    rule::RuleDocument,
};
use so_store::{Sql, rule_drafts, rule_drafts::RuleDraft, rules, rules::RuleRow};

use super::{
    document::{check, text_of},
    read::{find, find_version},
    write::{Ending, carried, hold, publish, told_reason},
};
use crate::app::{
    App,
    change::Change,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Longest text of a draft: that of a rule.
const TEXT_BYTES_MAX: usize = 256 * 1024;
/// Differences that a refusal names; the draft itself tells all of them.
const NAMED_MAX: usize = 5;

/// The draft of a rule.
pub async fn get(app: &App, actor: Actor, id: RuleId) -> Outcome<RuleDraftView> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let draft = find_draft(&mut reader, actor.workspace, id).await?;
    view(app, row, draft).await
}

/// Keeps a draft, also one that is no rule yet.
pub async fn put(app: &App, actor: Actor, id: RuleId, request: PutDraft) -> Outcome<RuleDraftView> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let former = rule_drafts::find(&mut reader, actor.workspace, id).await?;
    let base = request
        .base_version
        .or(former.as_ref().map(|draft| draft.base_version))
        .unwrap_or(row.version);
    find_version(&mut reader, actor.workspace, id, base).await?;
    let text = text(app, &row, base, request.document, request.text).await?;
    for (pointer, length) in [
        ("/text", text.text.len()),
        ("/cases", request.cases.as_ref().map_or(0, String::len)),
    ] {
        if length > TEXT_BYTES_MAX {
            let expected = format!("at most {TEXT_BYTES_MAX} bytes");
            return Err(Failure::field(pointer, "is too long", expected));
        }
    }
    let reason = match request.reason {
        Some(reason) => told_reason(Some(reason))?,
        None => former
            .as_ref()
            .map_or_else(String::new, |draft| draft.reason.clone()),
    };
    let mut change = Change::begin(app, actor.workspace).await?;
    let is_new = request.expected_generation <= 0;
    // The rule may have been deleted meanwhile.
    let row = hold(&mut change.tx, actor.workspace, id).await?;
    let draft = RuleDraft {
        rule: id,
        workspace: actor.workspace,
        format: format_name(text.format).to_owned(),
        text: text.text,
        cases: request.cases,
        base_version: base,
        author: actor.user,
        reason,
        generation: match is_new {
            true => change.now.micros() / 1_000,
            false => request.expected_generation.saturating_add(1),
        },
        created_at: former.map_or(change.now, |draft| draft.created_at),
        updated_at: change.now,
    };
    rule_drafts::put(&mut change.tx, &draft, is_new).await?;
    change.touch("rule", id);
    change.commit().await?;
    view(app, row, draft).await
}

/// Gives a draft up.
pub async fn delete(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<()> {
    let mut change = Change::begin(app, workspace).await?;
    hold(&mut change.tx, workspace, id).await?;
    if !rule_drafts::delete(&mut change.tx, workspace, id, None).await? {
        return Err(Failure::not_found("rule_draft"));
    }
    change.touch("rule", id);
    change.commit().await
}

/// Makes a draft the live version.
pub async fn publish_draft(
    app: &App,
    actor: Actor,
    id: RuleId,
    request: PublishDraft,
) -> Outcome<RuleDetail> {
    let mut reader = app.reader();
    let row = find(&mut reader, actor.workspace, id).await?;
    let draft = find_draft(&mut reader, actor.workspace, id).await?;
    if draft.generation != request.expected_generation {
        let detail = format!(
            "It is at generation {}, and generation {} was seen.",
            draft.generation, request.expected_generation
        );
        return Err(
            Failure::new(409, "rule_draft.changed", "The draft was changed meanwhile")
                .detail(detail)
                .next_step("Load it again and look at what it changes now."),
        );
    }
    if draft.base_version != row.version {
        return Err(outdated(app, &row, &draft).await?);
    }
    let reason = request.reason.filter(|reason| !reason.trim().is_empty());
    let reason = reason.unwrap_or_else(|| draft.reason.clone());
    if reason.trim().is_empty() {
        return Err(Failure::field(
            "/reason",
            "is missing",
            "why the rule is changed",
        ));
    }
    let as_put = PutRule {
        document: None,
        text: Some(text_of_draft(&draft)),
        expected_version: draft.base_version,
        cases: draft.cases,
        reason: Some(reason),
        override_reason: request.override_reason,
    };
    let ending = Ending {
        draft: Some(draft.generation),
        trial: None,
    };
    publish(app, actor, id, as_put, ending).await
}

async fn outdated(app: &App, row: &RuleRow, draft: &RuleDraft) -> Outcome<Failure> {
    let missed = missed(app, row, draft).await?;
    let mut named: Vec<&str> = missed
        .iter()
        .take(NAMED_MAX)
        .map(|change| change.sentence.as_str())
        .collect();
    let more = format!("and {} more", missed.len().saturating_sub(NAMED_MAX));
    if missed.len() > NAMED_MAX {
        named.push(&more);
    }
    let told = match named.as_slice() {
        [] => String::new(),
        named => format!(": {}", named.join("; ")),
    };
    let detail = format!(
        "It was made from version {}, and version {} is live{told}.",
        draft.base_version, row.version
    );
    Ok(Failure::new(409, "rule_draft.outdated", "Another version was published since the draft was begun")
        .detail(detail)
        .next_step("Take what changed into the draft and save it with that version as base_version; the draft's missed lists all of it."))
}

async fn find_draft(sql: &mut dyn Sql, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleDraft> {
    let found = rule_drafts::find(sql, workspace, id).await?;
    found.ok_or_else(|| Failure::not_found("rule_draft"))
}

/// What a draft holds now, for whoever compares or tries it.
pub(super) async fn current(app: &App, workspace: WorkspaceId, id: RuleId) -> Outcome<RuleDraft> {
    find_draft(&mut app.reader(), workspace, id).await
}

/// The draft as it is checked, tried and published.
pub(super) fn text_of_draft(draft: &RuleDraft) -> RuleText {
    RuleText {
        format: match draft.format.as_str() {
            "json" => RuleFormat::Json,
            _ => RuleFormat::Yaml,
        },
        text: draft.text.clone(),
    }
}

fn format_name(format: RuleFormat) -> &'static str {
    match format {
        RuleFormat::Json => "json",
        RuleFormat::Yaml => "yaml",
    }
}

/// What was sent, as a text; a document is carried into the text of the version it was made from.
async fn text(
    app: &App,
    row: &RuleRow,
    base: i64,
    document: Option<Value>,
    text: Option<RuleText>,
) -> Outcome<RuleText> {
    let document = match (document, text) {
        (None, Some(text)) => return Ok(text),
        (Some(document), None) => document,
        _ => {
            let expected = "one of document and text";
            let reason = "holds both a document and a text, or neither";
            return Err(Failure::field("", reason, expected));
        }
    };
    let as_json = |document: &Value| RuleText {
        format: RuleFormat::Json,
        text: serde_json::to_string_pretty(document).unwrap_or_default(),
    };
    // One that cannot be read yet stays as it was sent.
    let Ok(read) = serde_json::from_value::<RuleDocument>(document.clone()) else {
        return Ok(as_json(&document));
    };
    let base = rules::find_version(&mut app.reader(), row.workspace, row.id, base).await?;
    let source = base.map(|base| base.source).unwrap_or_default();
    let enabled = document["enabled"].as_bool().unwrap_or(row.is_enabled);
    let text = if source.is_empty() {
        text_of(&read, "", enabled)?
    } else {
        let known = RuleDocument {
            enabled: true,
            ..read.clone()
        };
        let carried = carried(app, row.id, source, known).await?;
        text_of(&read, &carried, enabled)?
    };
    Ok(RuleText {
        format: RuleFormat::Yaml,
        text,
    })
}

async fn view(app: &App, row: RuleRow, draft: RuleDraft) -> Outcome<RuleDraftView> {
    let checked = checked(app, &row, &draft).await?;
    let live = find_version(&mut app.reader(), row.workspace, row.id, row.version).await?;
    let changes = checked.document.as_ref().map_or_else(Vec::new, |document| {
        let live = RuleDocument {
            enabled: row.is_enabled,
            ..live.document
        };
        difference(&live, document)
    });
    Ok(RuleDraftView {
        rule: row.id,
        text: text_of_draft(&draft),
        is_outdated: draft.base_version != row.version,
        missed: missed(app, &row, &draft).await?,
        changes,
        check: checked,
        cases: draft.cases,
        base_version: draft.base_version,
        live_version: row.version,
        author: draft.author,
        reason: draft.reason,
        generation: draft.generation,
        created_at: draft.created_at,
        updated_at: draft.updated_at,
    })
}

async fn checked(app: &App, row: &RuleRow, draft: &RuleDraft) -> Outcome<RuleCheck> {
    let input = RuleInput {
        text: Some(text_of_draft(draft)),
        rule: Some(row.id),
        ..RuleInput::default()
    };
    let mut checked = check(app, Some(row.workspace), input).await?;
    // A text that says nothing about the switch leaves it as it is.
    if checked.document.is_some() && !says_enabled(app, text_of_draft(draft)).await? {
        let document = checked.document.iter_mut();
        document.for_each(|document| document.enabled = row.is_enabled);
    }
    Ok(checked)
}

/// Whether a text says whether the rule is on, wherever and however it is written.
async fn says_enabled(app: &App, text: RuleText) -> Outcome<bool> {
    let work = move || {
        let format = match text.format {
            RuleFormat::Json => Format::Json,
            RuleFormat::Yaml => Format::Yaml,
        };
        parse(&text.text, format).is_ok_and(|(value, _)| value["enabled"].is_boolean())
    };
    app.bench.work(work).await
}

async fn missed(app: &App, row: &RuleRow, draft: &RuleDraft) -> Outcome<Vec<RuleChange>> {
    if draft.base_version == row.version {
        return Ok(Vec::new());
    }
    let mut reader = app.reader();
    let base = find_version(&mut reader, row.workspace, row.id, draft.base_version).await?;
    let live = find_version(&mut reader, row.workspace, row.id, row.version).await?;
    Ok(difference(&base.document, &live.document))
}
