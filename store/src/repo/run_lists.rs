//! Runs as people look at them: lists that may be narrowed, by whichever index has what is narrowest.

use so_model::{
    id::{RuleId, RunId, WorkspaceId},
    run::{Run, RunState},
    time::Timestamp,
};

use super::{
    event_lists,
    filter::Filter,
    runs::{SELECT, read},
    strands::{Span, Strands},
};
use crate::{Backend, Result, Sql, args, value::Args};

/// Which runs to do something with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunSpan {
    /// Of this rule.
    pub rule: Option<RuleId>,
    /// In this state.
    pub state: RunState,
    /// Made then or later.
    pub from: Option<Timestamp>,
    /// Made then or before.
    pub until: Option<Timestamp>,
    /// After this one.
    pub after: Option<RunId>,
}

/// Runs of a span in one state, the oldest first.
pub async fn list_in(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    span: &RunSpan,
    limit: i64,
) -> Result<Vec<Run>> {
    if span.state == RunState::Finished && span.rule.is_none() {
        return list_finished(sql, workspace, span, limit).await;
    }
    let query = Filter::new(SELECT);
    let query = match span.state {
        RunState::Finished => query.with("runs WHERE workspace_id = ?", workspace),
        // Word for word as the index has it, or SQLite would not see that it fits.
        RunState::Failed | RunState::Cancelled => query
            .then("runs WHERE state IN ('failed', 'cancelled')")
            .with(" AND workspace_id = ?", workspace),
        _ => query
            .then("runs WHERE finished_at IS NULL")
            .with(" AND workspace_id || '' = ?", workspace),
    };
    query
        .with(" AND runs.state = ?", span.state.as_str())
        .maybe(" AND runs.rule_id = ?", span.rule)
        .maybe(" AND runs.id > ?", span.from.map(RunId::last_before))
        .maybe(" AND runs.id < ?", span.until.map(RunId::first_after))
        .maybe(" AND runs.id > ?", span.after)
        .with(" ORDER BY runs.id LIMIT ?", limit)
        .rows(sql)
        .await?
        .iter()
        .map(read)
        .collect()
}

async fn list_finished(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    span: &RunSpan,
    limit: i64,
) -> Result<Vec<Run>> {
    let text = |id: Option<RunId>| id.map_or_else(String::new, |id| id.to_string());
    let after = span.after.max(span.from.map(RunId::last_before));
    let span = Span {
        after: &text(after),
        before: &text(span.until.map(RunId::first_after)),
        also: FINISHED,
        is_newest_first: false,
        limit,
        ..Span::default()
    };
    let rows = STRANDS.rows(sql, COLUMNS, workspace, &span).await?;
    rows.iter().map(read).collect()
}

/// Which runs to list; an empty text is any.
#[derive(Debug, Clone, Default)]
pub struct RunFilter<'a> {
    /// Of this rule.
    pub rule: &'a str,
    /// In this state.
    pub state: &'a str,
    /// Started by this event.
    pub event: &'a str,
    /// Started by events about this subject, such as a post.
    pub subject: &'a str,
    /// Older than this run.
    pub before: &'a str,
}

/// Runs of a workspace, newest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    filter: &RunFilter<'_>,
    limit: i64,
) -> Result<Vec<Run>> {
    let narrow = [filter.rule, filter.event, filter.subject];
    let is_narrow = narrow.iter().any(|text| !text.is_empty());
    let also = match filter.state {
        "" => Some(""),
        "finished" => Some(FINISHED),
        _ => None,
    };
    let rows = match also {
        Some(also) if !is_narrow => {
            let span = Span {
                before: filter.before,
                also,
                limit,
                ..Span::default()
            };
            STRANDS.rows(sql, COLUMNS, workspace, &span).await?
        }
        _ => {
            let (text, args) = listing(sql.backend(), workspace, filter, limit);
            sql.all(text, args).await?
        }
    };
    rows.iter().map(read).collect()
}

const FINISHED: &str = " AND state = 'finished'";
/// Runs are listed by their rule.
pub(super) const STRANDS: Strands = Strands {
    table: "runs",
    name: "rule_id",
};
const COLUMNS: &str = "id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, \
                       created_at, finished_at";

// Begins with what is narrowest. Where that is not the workspace, it is hidden from SQLite's planner, which would
// prefer to walk all runs of the workspace in their order.
fn listing(
    backend: Backend,
    workspace: WorkspaceId,
    filter: &RunFilter<'_>,
    limit: i64,
) -> (&'static str, Args) {
    let state = RunState::parse(filter.state);
    let query = Filter::new(SELECT);
    let query = if let Some(subject) = some(filter.subject) {
        event_lists::runs_about(query, backend, workspace, subject)
            .with(" AND runs.workspace_id = ?", workspace)
            .maybe(" AND runs.event_id = ?", some(filter.event))
    } else if let Some(event) = some(filter.event) {
        query
            .with("runs WHERE runs.event_id = ?", event)
            .with(" AND runs.workspace_id || '' = ?", workspace)
    } else if state.is_some_and(|state| !state.is_over()) {
        query
            .then("runs WHERE runs.finished_at IS NULL")
            .with(" AND runs.workspace_id || '' = ?", workspace)
    } else if matches!(state, Some(RunState::Failed | RunState::Cancelled)) {
        // Word for word as the index has it, or SQLite would not see that it fits.
        query
            .then("runs WHERE state IN ('failed', 'cancelled')")
            .with(" AND runs.workspace_id = ?", workspace)
    } else {
        query.with("runs WHERE runs.workspace_id = ?", workspace)
    };
    query
        .maybe(" AND runs.rule_id = ?", some(filter.rule))
        .maybe(" AND runs.state = ?", some(filter.state))
        .maybe(" AND runs.id < ?", some(filter.before))
        .with(" ORDER BY runs.id DESC LIMIT ?", limit)
        .finish()
}

fn some(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

/// When a rule's latest runs were made, newest first.
pub async fn latest_starts(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<Timestamp>> {
    sql.all(
        "SELECT created_at FROM runs WHERE workspace_id = $1 AND rule_id = $2 ORDER BY id DESC LIMIT $3",
        args![workspace, rule, limit],
    )
    .await?
    .iter()
    .map(|row| row.at(0))
    .collect()
}

/// Runs of a rule made within a span, newest first.
///
/// Goes by ids, which hold the moment of their making.
pub async fn list_between(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    from: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Run>> {
    Filter::new(SELECT)
        .with("runs WHERE runs.workspace_id = ?", workspace)
        .with(" AND runs.rule_id = ?", rule)
        .with(" AND runs.id >= ?", RunId::from_parts(from, [0; 10]))
        .with(" AND runs.id <= ?", RunId::from_parts(until, [u8::MAX; 10]))
        .with(" ORDER BY runs.id DESC LIMIT ?", limit)
        .rows(sql)
        .await?
        .iter()
        .map(read)
        .collect()
}
