//! Runs as people look at them: lists that may be narrowed, by whichever index has what is narrowest.

use so_model::{
    id::{RuleId, RunId, WorkspaceId},
    run::{Run, RunState},
    time::Timestamp,
};

use super::{
    event_lists,
    filter::Filter,
    listed::{self, Listed},
    runs::{SELECT, read},
    span::Span,
    strands::Strands,
};
use crate::{Backend, Result, Row, Sql, value::Args};

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
    let query = Filter::new(SELECT);
    let query = match span.state {
        RunState::Finished => return list_finished(sql, workspace, span, limit).await,
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
    let rule = span.rule;
    let span = Span {
        after: &text(after),
        before: &text(span.until.map(RunId::first_after)),
        also: FINISHED,
        is_newest_first: false,
        limit,
    };
    let rows = rows(sql, COLUMNS, workspace, rule, &span).await?;
    rows.iter().map(read).collect()
}

/// These columns of runs in the order of their ids, over all rules or of one. SQLite finds them through a full-text
/// index, PostgreSQL by their rules.
pub(super) async fn rows(
    sql: &mut dyn Sql,
    columns: &'static str,
    workspace: WorkspaceId,
    rule: Option<RuleId>,
    span: &Span<'_>,
) -> Result<Vec<Row>> {
    if sql.backend() == Backend::Sqlite {
        return listed::rows(sql, columns, workspace, Listed::Runs(rule), span).await;
    }
    let Some(rule) = rule else {
        return STRANDS.rows(sql, columns, workspace, "", span).await;
    };
    let order = if span.is_newest_first {
        " ORDER BY id DESC LIMIT ?"
    } else {
        " ORDER BY id LIMIT ?"
    };
    Filter::new("SELECT ")
        .then(columns)
        .with(" FROM runs WHERE workspace_id = ?", workspace)
        .with(" AND rule_id = ?", rule)
        .maybe(" AND id > ?", some(span.after))
        .maybe(" AND id < ?", some(span.before))
        .then(span.also)
        .with(order, span.limit)
        .rows(sql)
        .await
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
    let state = RunState::parse(filter.state);
    let is_unknown = state.is_none() && !filter.state.is_empty();
    let rule = filter.rule.parse().ok();
    if is_unknown || (rule.is_none() && !filter.rule.is_empty()) {
        return Ok(Vec::new());
    }
    let is_narrow = !filter.event.is_empty() || !filter.subject.is_empty();
    let rows = match state {
        None | Some(RunState::Finished) if !is_narrow => {
            let span = Span {
                before: filter.before,
                also: if state.is_some() { FINISHED } else { "" },
                limit,
                ..Span::default()
            };
            rows(sql, COLUMNS, workspace, rule, &span).await?
        }
        _ => {
            let (text, args) = listing(sql.backend(), workspace, filter, limit);
            sql.all(text, args).await?
        }
    };
    rows.iter().map(read).collect()
}

const FINISHED: &str = " AND state = 'finished'";
/// PostgreSQL lists runs by their rule.
pub(super) const STRANDS: Strands = Strands {
    table: "runs",
    name: "rule_id",
};
const COLUMNS: &str = "id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, \
                       created_at, finished_at";

// Begins with what is narrowest: a subject, an event, a state that few runs are in.
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
    } else {
        // Word for word as the index has it, or SQLite would not see that it fits.
        query
            .then("runs WHERE state IN ('failed', 'cancelled')")
            .with(" AND runs.workspace_id = ?", workspace)
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
    let span = Span {
        limit,
        ..Span::default()
    };
    let rows = rows(sql, "created_at", workspace, Some(rule), &span).await?;
    rows.iter().map(|row| row.at(0)).collect()
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
    let span = Span {
        after: &RunId::last_before(from).to_string(),
        before: &RunId::first_after(until).to_string(),
        limit,
        ..Span::default()
    };
    let rows = rows(sql, COLUMNS, workspace, Some(rule), &span).await?;
    rows.iter().map(read).collect()
}
