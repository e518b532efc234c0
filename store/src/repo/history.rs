//! What happened, in the order it was stored: events with what came of them, page by page.
//!
//! Invariant: whatever belongs to the events of a page is read with one statement for each table, however many
//! events the page has.

use so_model::{
    event::Event,
    id::{AccountId, EventId, RuleId, RunId, WorkspaceId},
    run::{Memo, Run},
    time::Timestamp,
    why::Recorded,
};

use super::{decisions, event_lists, events, filter::Filter, runs};
use crate::{Result, Sql};

/// Events with what came of them.
#[derive(Debug, Default)]
pub struct HistoryPage {
    /// Events with the moments they were stored at.
    pub events: Vec<(Event, Timestamp)>,
    /// Runs that they started.
    pub runs: Vec<Run>,
    /// Memos of these runs.
    pub memos: Vec<(RunId, Memo)>,
    /// Starts whose runs were let go, and when they were.
    pub let_go: Vec<(EventId, RuleId, Timestamp)>,
    /// What refusals looked at beside the event, where they did.
    pub seen: Vec<(EventId, RuleId, Recorded)>,
    /// The last event of the page, if more may follow.
    pub next: Option<EventId>,
}

/// Events stored from a moment on and before another, after an event.
///
/// Goes by ids, which hold the moment of their making.
pub async fn page(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    (from, until): (Timestamp, Timestamp),
    after: Option<EventId>,
    limit: i64,
) -> Result<HistoryPage> {
    let first = EventId::last_before(from);
    let after = after.map_or(first, |after| after.max(first)).to_string();
    let before = EventId::from_parts(until, [0; 10]).to_string();
    let rows = event_lists::in_order(sql, workspace, &after, &before, limit).await?;
    let mut page = HistoryPage::default();
    for row in &rows {
        page.events.push((events::read(row)?, row.at(9)?));
    }
    let ends = page.events.first().zip(page.events.last());
    let Some((first, last)) = ends.map(|(first, last)| (first.0.id, last.0.id)) else {
        return Ok(page);
    };
    let is_full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
    page.next = is_full.then_some(last);
    page.runs = runs::of_events(sql, workspace, first, last).await?;
    if !page.runs.is_empty() {
        page.memos = runs::memos_of_events(sql, workspace, first, last).await?;
    }
    page.let_go = let_go(sql, workspace, first, last).await?;
    page.seen = seen(sql, workspace, first, last).await?;
    Ok(page)
}

async fn let_go(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    first: EventId,
    last: EventId,
) -> Result<Vec<(EventId, RuleId, Timestamp)>> {
    // Without the workspace as a condition on an index, likewise.
    Filter::new(
        "SELECT runs_let_go.event_id, run_ways.rule_id, runs_let_go.at FROM runs_let_go \
         JOIN run_ways ON run_ways.way = runs_let_go.way",
    )
    .with(" WHERE runs_let_go.event_id >= ?", first)
    .with(" AND runs_let_go.event_id <= ?", last)
    .with(" AND run_ways.workspace_id || '' = ?", workspace)
    .rows(sql)
    .await?
    .iter()
    .map(|row| Ok((row.id(0)?, row.id(1)?, row.at(2)?)))
    .collect()
}

async fn seen(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    first: EventId,
    last: EventId,
) -> Result<Vec<(EventId, RuleId, Recorded)>> {
    // Without the workspace as a condition on an index: ids are narrower than it.
    let rows = Filter::new("SELECT event_id, rules, lines FROM refusals WHERE has_seen = 1")
        .with(" AND event_id >= ?", first)
        .with(" AND event_id <= ?", last)
        .with(" AND workspace_id || '' = ?", workspace)
        .rows(sql)
        .await?;
    let mut found = Vec::new();
    for row in &rows {
        let told = decisions::unpack(row, None)?.into_iter();
        found.extend(told.filter_map(|one| Some((one.event, one.decision.rule, one.seen?))));
    }
    Ok(found)
}

/// When accounts published, from a moment on and before another, oldest first; true of a post's first part.
pub async fn published(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    (from, until): (Timestamp, Timestamp),
    limit: i64,
) -> Result<Vec<(AccountId, Timestamp, bool)>> {
    Filter::new("SELECT account_id, published_at, part FROM publications WHERE ")
        .with("workspace_id = ?", workspace)
        .with(" AND published_at >= ?", from)
        .with(" AND published_at < ?", until)
        .with(" ORDER BY published_at LIMIT ?", limit)
        .rows(sql)
        .await?
        .iter()
        .map(|row| Ok((row.id(0)?, row.at(1)?, row.int(2)? == 0)))
        .collect()
}
