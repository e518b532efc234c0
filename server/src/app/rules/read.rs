//! Rules as people see them.

use so_model::{
    api::{
        rule::{
            LastRun, RuleDetail, RuleList, RuleQuery, RuleVersionDetail, RuleVersionList,
            RuleVersionView, RuleView,
        },
        version::VersionState,
    },
    id::{RuleId, WorkspaceId, kind},
    rule::RuleDocument,
};
use so_store::{
    Page, Sql, StoreError, rule_canaries,
    rule_canaries::RuleCanary,
    rule_cases,
    rule_cases::VersionCases,
    rules,
    rules::{RuleRow, RuleVersion},
    runs,
    runs::RunFilter,
};

use super::{
    document::{review, text_of},
    mask::hide,
};
use crate::app::{
    App,
    change::PageAsk,
    failure::{Failure, Outcome},
    members::Actor,
};

/// Versions listed; older ones are kept for runs that are pinned to them.
const VERSIONS_MAX: i64 = 200;

/// A page of rules, the oldest first.
pub async fn list(app: &App, workspace: WorkspaceId, query: &RuleQuery) -> Outcome<RuleList> {
    let page = PageAsk::of::<kind::Rule>(query.cursor.as_deref(), query.limit)?;
    let mut reader = app.reader();
    let found = rules::list(&mut reader, workspace, &page.cursor, page.fetch()).await?;
    let found = Page::cut(found, page.limit, |rule| rule.id.to_string());
    let mut items = Vec::with_capacity(found.items.len());
    for row in found.items {
        items.push(view(&mut reader, row).await?);
    }
    Ok(RuleList {
        items,
        next_cursor: found.next_cursor,
    })
}

/// A rule with its live document.
pub async fn get(app: &App, actor: Actor, id: RuleId) -> Outcome<RuleDetail> {
    let workspace = actor.workspace;
    let mut reader = app.reader();
    let row = find(&mut reader, workspace, id).await?;
    let version = find_version(&mut reader, workspace, id, row.version).await?;
    let mut found = detail(app, row, version).await?;
    let shown = found.yaml.clone();
    hide(actor.role, &mut found.document, &mut found.yaml)?;
    // Whoever may not see a secret in the rule may not see it in its cases either.
    if found.yaml != shown {
        found.cases.clear();
    }
    Ok(found)
}

/// Versions of a rule, the newest first.
pub async fn list_versions(
    app: &App,
    workspace: WorkspaceId,
    id: RuleId,
) -> Outcome<RuleVersionList> {
    let mut reader = app.reader();
    let row = find(&mut reader, workspace, id).await?;
    let found = rules::list_versions(&mut reader, workspace, id, VERSIONS_MAX).await?;
    let overridden = rule_cases::list_overridden(&mut reader, workspace, id, VERSIONS_MAX).await?;
    let canary = rule_canaries::find(&mut reader, workspace, id).await?;
    let view = |version: &RuleVersion| {
        let beside = overridden.iter().find(|one| one.version == version.version);
        version_view(version, &row, canary.as_ref(), beside.cloned())
    };
    Ok(RuleVersionList {
        items: found.iter().map(view).collect(),
    })
}

/// One version with its document.
pub async fn get_version(
    app: &App,
    actor: Actor,
    id: RuleId,
    version: i64,
) -> Outcome<RuleVersionDetail> {
    let workspace = actor.workspace;
    let mut reader = app.reader();
    let row = find(&mut reader, workspace, id).await?;
    let found = find_version(&mut reader, workspace, id, version).await?;
    let mut yaml = text_of(&found.document, &found.source, row.is_enabled)?;
    let mut document = RuleDocument {
        enabled: row.is_enabled,
        ..found.document.clone()
    };
    hide(actor.role, &mut document, &mut yaml)?;
    let beside = rule_cases::find(&mut reader, workspace, id, version).await?;
    let canary = rule_canaries::find(&mut reader, workspace, id).await?;
    Ok(RuleVersionDetail {
        version: version_view(&found, &row, canary.as_ref(), Some(beside)),
        document,
        yaml,
    })
}

pub(super) async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: RuleId,
) -> Outcome<RuleRow> {
    rules::find(sql, workspace, id)
        .await?
        .ok_or_else(|| Failure::not_found("rule"))
}

pub(super) async fn find_version(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: RuleId,
    version: i64,
) -> Outcome<RuleVersion> {
    let found = rules::find_version(sql, workspace, id, version).await?;
    found.ok_or_else(|| Failure::not_found("rule_version"))
}

pub(super) async fn detail(app: &App, row: RuleRow, version: RuleVersion) -> Outcome<RuleDetail> {
    let yaml = text_of(&version.document, &version.source, row.is_enabled)?;
    let reviewed = review(app, row.workspace, row.id, &version.document).await?;
    let enabled = row.is_enabled;
    let mut reader = app.reader();
    let beside = rule_cases::find(&mut reader, row.workspace, row.id, row.version).await?;
    let mut rule = view(&mut app.reader(), row).await?;
    let warnings = reviewed.unwrap_or_else(|errors| {
        // Saved by a server that could do more than this one.
        let first = errors.into_iter().next();
        let reason = first.map_or_else(String::new, |error| {
            format!(": {}: {}", error.pointer, error.reason)
        });
        rule.problem.get_or_insert_with(|| {
            format!("this server cannot run the rule{reason}; correct and save it")
        });
        Vec::new()
    });
    Ok(RuleDetail {
        rule,
        document: RuleDocument {
            enabled,
            ..version.document
        },
        yaml,
        cases: beside.cases,
        warnings,
    })
}

async fn view(sql: &mut dyn Sql, row: RuleRow) -> Result<RuleView, StoreError> {
    let id = row.id.to_string();
    let filter = RunFilter {
        rule: &id,
        ..RunFilter::default()
    };
    let latest = runs::list(sql, row.workspace, &filter, 1)
        .await?
        .into_iter()
        .next();
    Ok(RuleView {
        id: row.id,
        name: row.name,
        is_enabled: row.is_enabled,
        version: row.version,
        starter: row.starter,
        problem: row.problem,
        last_run: latest.map(|run| LastRun {
            id: run.id,
            state: run.state,
            created_at: run.created_at,
        }),
        created_at: row.created_at,
        updated_at: row.updated_at,
    })
}

fn version_view(
    version: &RuleVersion,
    row: &RuleRow,
    canary: Option<&RuleCanary>,
    beside: Option<VersionCases>,
) -> RuleVersionView {
    let is_canary = canary
        .is_some_and(|canary| canary.version == version.version && canary.is_deciding(row.version));
    RuleVersionView {
        version: version.version,
        name: version.document.name.clone(),
        state: match version.is_trial {
            _ if version.version == row.version => VersionState::Live,
            false => VersionState::Former,
            true if is_canary => VersionState::Canary,
            true => VersionState::Tried,
        },
        author: version.author,
        reason: version.reason.clone(),
        created_at: version.created_at,
        override_reason: beside.and_then(|beside| beside.override_reason),
    }
}
