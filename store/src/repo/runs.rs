//! Runs and memos.

use std::collections::HashSet;

use so_model::{
    id::{EventId, RuleId, RunId, WorkspaceId},
    run::{Memo, Run, RunState, StepOutcome},
    time::Timestamp,
};

pub use super::run_lists::{RunFilter, RunSpan, latest_starts, list, list_between, list_in};
use super::{filter::Filter, listed};
use crate::{
    Backend, Result, Row, Sql, StoreError, Tx, args,
    bulk::Shape,
    value::{Args, to_json},
};

pub(super) const SELECT: &str = "SELECT runs.id, runs.workspace_id, runs.rule_id, runs.version, runs.event_id, runs.trigger_id, runs.state, \
     runs.mode_key, runs.decision, runs.reason, runs.created_at, runs.finished_at FROM ";

pub(super) fn read(row: &Row) -> Result<Run> {
    Ok(Run {
        id: row.id(0)?,
        workspace: row.id(1)?,
        rule: row.id(2)?,
        version: row.int(3)?,
        event: row.id(4)?,
        trigger: row.text(5)?,
        state: parse_state(&row.text(6)?)?,
        key: row.text(7)?,
        decision: row.json(8)?,
        reason: row.opt_text(9)?,
        created_at: row.at(10)?,
        finished_at: row.opt_at(11)?,
    })
}

fn parse_state(text: &str) -> Result<RunState> {
    RunState::parse(text).ok_or_else(|| StoreError::corrupt("run state", text.to_string()))
}

fn read_memo(row: &Row) -> Result<Memo> {
    let mut memo: Memo = row.json(4)?;
    memo.path = row.text(0)?;
    memo.attempt = row.int(1)?;
    memo.outcome = StepOutcome::parse(&row.text(3)?)
        .ok_or_else(|| StoreError::corrupt("step outcome", row.text(3).unwrap_or_default()))?;
    memo.finished_at = row.opt_at(5)?;
    Ok(memo)
}

const INSERT: Shape = Shape {
    before: "INSERT INTO runs (id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, \
             events_made, created_at, finished_at) VALUES ",
    columns: 13,
    after: "",
    fixed: 0,
};

/// A run as a row that is yet to be stored.
#[derive(Debug)]
pub struct NewRow(Args, RunId);

impl NewRow {
    /// The row of a new run.
    pub fn of(run: &Run) -> Result<Self> {
        let row = args![
            run.id,
            run.workspace,
            run.rule,
            run.version,
            run.event,
            &run.trigger,
            run.state.as_str(),
            &run.key,
            to_json(&run.decision)?,
            run.reason.clone(),
            0,
            run.created_at,
            run.finished_at
        ];
        Ok(Self(row, run.id))
    }
}

/// Stores a new run.
pub async fn insert(tx: &mut Tx, run: &Run) -> Result<()> {
    insert_rows(tx, vec![NewRow::of(run)?]).await
}

/// Stores new runs in the order of their ids: SQLite's full-text index begins a new portion where one comes too
/// early.
pub async fn insert_rows(tx: &mut Tx, mut rows: Vec<NewRow>) -> Result<()> {
    rows.sort_by_cached_key(|row| row.1);
    let rows = rows.into_iter().map(|row| row.0).collect();
    INSERT.run(tx, &Args::new(), rows).await?;
    Ok(())
}

// With a sign before the column SQLite goes by ids: it would rather walk all runs that are not over.
const FINISH: Shape = Shape {
    before: "UPDATE runs SET state = 'finished', reason = NULL, finished_at = $1 WHERE +finished_at IS NULL AND id IN (",
    columns: 1,
    after: ") RETURNING id",
    fixed: 1,
};

/// Finishes runs that are not over; answers which these were.
///
/// Goes by id alone: its callers hold the leases of these runs' jobs.
pub async fn finish_many(tx: &mut Tx, ids: &[RunId], now: Timestamp) -> Result<Vec<RunId>> {
    FINISH.read(tx, &args![now], ids, |row| row.id(0)).await
}

/// Moves a run on that is not over. False when it was over already, or somebody wants its end and this is none.
pub async fn set_state(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: RunId,
    state: RunState,
    reason: Option<&str>,
    now: Timestamp,
) -> Result<bool> {
    let finished = state.is_over().then_some(now);
    let changed = tx
        .run(
            "UPDATE runs SET state = $3, reason = $4, finished_at = $5 \
             WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL AND ($6 = 1 OR state <> 'cancelling')",
            args![
                workspace,
                id,
                state.as_str(),
                reason,
                finished,
                i64::from(state.is_over())
            ],
        )
        .await?;
    Ok(changed == 1)
}

const SLEEP: Shape = Shape {
    before: "WITH sleepers (id, reason) AS (VALUES ",
    columns: 2,
    after: ") UPDATE runs SET state = 'waiting', reason = sleepers.reason FROM sleepers \
            WHERE runs.id = sleepers.id AND +runs.finished_at IS NULL AND runs.state || '' <> 'cancelling'",
    fixed: 0,
};

/// Notes that runs wait, and what for, until somebody wakes them.
///
/// Goes by id alone: its callers hold the leases of these runs' jobs.
pub async fn sleep_many(tx: &mut Tx, runs: &[(RunId, String)]) -> Result<()> {
    let rows = runs.iter().map(|(id, reason)| args![*id, reason]);
    SLEEP.run(tx, &args![], rows.collect()).await?;
    Ok(())
}

/// Opens a run again that failed or was cancelled. False when it is in another state.
pub async fn reopen(tx: &mut Tx, workspace: WorkspaceId, id: RunId) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE runs SET state = 'running', reason = NULL, finished_at = NULL \
             WHERE workspace_id = $1 AND id = $2 AND state IN ('failed', 'cancelled')",
            args![workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Counts events a run made; answers the new total.
pub async fn add_events(tx: &mut Tx, id: RunId, count: i64) -> Result<i64> {
    let row = tx
        .one(
            "UPDATE runs SET events_made = events_made + $2 WHERE id = $1 RETURNING events_made",
            args![id, count],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The run with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: RunId) -> Result<Option<Run>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, rule_id, version, event_id, trigger_id, state, mode_key, decision, reason, \
             created_at, finished_at FROM runs WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

const LISTED: Shape = Shape {
    before: "SELECT runs.id, runs.workspace_id, runs.rule_id, runs.version, runs.event_id, runs.trigger_id, runs.state, \
             runs.mode_key, runs.decision, runs.reason, runs.created_at, runs.finished_at FROM runs WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Runs by their ids, in no order, of any workspace: its callers hold the leases of their jobs.
pub async fn list_of(sql: &mut dyn Sql, ids: &[RunId]) -> Result<Vec<Run>> {
    LISTED.read(sql, &args![], ids, read).await
}

/// The workspace that a run belongs to.
pub async fn workspace_of(sql: &mut dyn Sql, id: RunId) -> Result<Option<WorkspaceId>> {
    let row = sql
        .one("SELECT workspace_id FROM runs WHERE id = $1", args![id])
        .await?;
    row.map(|row| row.id(0)).transpose()
}

/// Runs of one key that are not over, oldest first.
pub async fn list_active(
    sql: &mut dyn Sql,
    rule: RuleId,
    key: &str,
    limit: i64,
) -> Result<Vec<(RunId, RunState)>> {
    sql.all(
        "SELECT id, state FROM runs WHERE rule_id = $1 AND mode_key = $2 AND finished_at IS NULL ORDER BY id LIMIT $3",
        args![rule, key, limit],
    )
    .await?
    .iter()
    .map(|row| Ok((row.id(0)?, parse_state(&row.text(1)?)?)))
    .collect()
}

/// A text that comes before an id and after all that come before it; for the first of a moment.
pub(super) fn at_or_after(id: RunId) -> String {
    let mut text = id.to_string();
    text.pop();
    text
}

// Answers nothing about a rule no version of which ever spoke of a count, or of which some starts since then are not counted.
const COUNT_COUNTED: &str = "SELECT (SELECT COUNT(*) FROM starts_counted WHERE rule_id = $1 AND run_id > $3) FROM rules_counted \
                             WHERE rule_id = $1 AND workspace_id = $2 AND after_id <= $3";

/// Runs a rule started since a moment.
///
/// Goes by ids, which hold the moment of their making.
pub async fn count_since(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    since: Timestamp,
) -> Result<i64> {
    let after = at_or_after(RunId::first_after(since));
    let rows = match sql.backend() {
        Backend::Sqlite => {
            let counted = sql
                .one(COUNT_COUNTED, args![rule, workspace, &after])
                .await?;
            if let Some(row) = counted {
                return row.int(0);
            }
            let query = Filter::new("SELECT COUNT(*) FROM ");
            listed::runs_of(query, workspace, rule, &after)
                .rows(sql)
                .await?
        }
        Backend::Postgres => {
            sql.all(
                "SELECT COUNT(*) FROM runs WHERE workspace_id = $1 AND rule_id = $2 AND id > $3",
                args![workspace, rule, after],
            )
            .await?
        }
    };
    rows.first().map_or(Ok(0), |row| row.int(0))
}

/// Runs that events from one to another started, in the order they were made.
pub(super) async fn of_events(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    first: EventId,
    last: EventId,
) -> Result<Vec<Run>> {
    Filter::new(SELECT)
        .with("runs WHERE runs.event_id >= ?", first)
        .with(" AND runs.event_id <= ?", last)
        .with(" AND runs.workspace_id || '' = ?", workspace)
        .then(" ORDER BY runs.id")
        .rows(sql)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Memos of the runs that events from one to another started, in no order.
pub(super) async fn memos_of_events(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    first: EventId,
    last: EventId,
) -> Result<Vec<(RunId, Memo)>> {
    Filter::new(
        "SELECT memos.path, memos.attempt, memos.step, memos.outcome, memos.doc, memos.finished_at, memos.run_id \
         FROM runs CROSS JOIN memos WHERE memos.run_id = runs.id",
    )
    .with(" AND runs.event_id >= ?", first)
    .with(" AND runs.event_id <= ?", last)
    .with(" AND runs.workspace_id || '' = ?", workspace)
    .rows(sql)
    .await?
    .iter()
    .map(|row| Ok((row.id(6)?, read_memo(row)?)))
    .collect()
}

/// The run is there, not over, and nobody wants its end.
pub async fn is_active(sql: &mut dyn Sql, workspace: WorkspaceId, id: RunId) -> Result<bool> {
    let row = sql
        .one(
            "SELECT 1 AS found FROM runs WHERE workspace_id = $1 AND id = $2 AND finished_at IS NULL AND state <> 'cancelling'",
            args![workspace, id],
        )
        .await?;
    Ok(row.is_some())
}

const ACTIVE: Shape = Shape {
    before: "SELECT id FROM runs WHERE +finished_at IS NULL AND state <> 'cancelling' AND id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Of these runs those that are there, not over, and whose end nobody wants.
///
/// Goes by id alone: its callers hold the leases of these runs' jobs.
pub async fn list_active_of(sql: &mut dyn Sql, ids: &[RunId]) -> Result<HashSet<RunId>> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    let rows = ACTIVE.all(sql, &args![], rows).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// A run for this event and trigger exists already.
pub async fn exists_for(
    sql: &mut dyn Sql,
    rule: RuleId,
    event: EventId,
    trigger: &str,
) -> Result<bool> {
    let row = sql
        .one(
            "SELECT 1 AS found FROM runs WHERE event_id = $1 AND rule_id = $2 AND trigger_id = $3 LIMIT 1",
            args![event, rule, trigger],
        )
        .await?;
    Ok(row.is_some())
}

/// Memos of a run in the order they were made.
pub async fn list_memos(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    run: RunId,
) -> Result<Vec<Memo>> {
    sql.all(
        "SELECT path, attempt, step, outcome, doc, finished_at FROM memos \
         WHERE workspace_id = $1 AND run_id = $2 ORDER BY started_at, path, attempt",
        args![workspace, run],
    )
    .await?
    .iter()
    .map(read_memo)
    .collect()
}

const MEMO_WEIGHTS: Shape = Shape {
    before: "SELECT run_id, COUNT(*), SUM(LENGTH(doc)) FROM memos WHERE run_id IN (",
    columns: 1,
    after: ") GROUP BY run_id",
    fixed: 0,
};

/// How many memos runs have, and of how many characters; one without any is not told.
pub async fn weigh_memos(sql: &mut dyn Sql, ids: &[RunId]) -> Result<Vec<(RunId, (i64, i64))>> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    let rows = MEMO_WEIGHTS.all(sql, &args![], rows).await?;
    rows.iter()
        .map(|row| Ok((row.id(0)?, (row.int(1)?, row.int(2)?))))
        .collect()
}

const THERE: Shape = Shape {
    before: "SELECT id FROM runs WHERE workspace_id = $1 AND id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

/// Of these runs those that are there.
pub async fn list_there(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    ids: &[RunId],
) -> Result<Vec<RunId>> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    let rows = THERE.all(sql, &args![workspace], rows).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

const MEMOS_OF: Shape = Shape {
    before: "SELECT path, attempt, step, outcome, doc, finished_at, run_id FROM memos WHERE run_id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Memos of several runs, in no order, none for one that cannot be read; housekeeping goes over all workspaces.
pub async fn list_memos_of(sql: &mut dyn Sql, ids: &[RunId]) -> Result<Vec<(RunId, Option<Memo>)>> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    let rows = MEMOS_OF.all(sql, &args![], rows).await?;
    rows.iter()
        .map(|row| Ok((row.id(6)?, read_memo(row).ok())))
        .collect()
}

const PUT_MEMO: Shape = Shape {
    before: "INSERT INTO memos (workspace_id, run_id, path, attempt, step, outcome, doc, started_at, finished_at) VALUES ",
    columns: 9,
    after: " ON CONFLICT (run_id, path, attempt) DO UPDATE SET outcome = excluded.outcome, doc = excluded.doc, \
            finished_at = excluded.finished_at WHERE memos.finished_at IS NULL",
    fixed: 0,
};

/// Stores a memo, or finishes one that was begun.
///
/// Fails as stale when the memo was finished before: an outcome is written once.
pub async fn put_memo(tx: &mut Tx, workspace: WorkspaceId, run: RunId, memo: &Memo) -> Result<()> {
    put_memos(tx, &[(workspace, run, memo)]).await
}

/// A memo as a row that is yet to be stored.
#[derive(Debug, Clone)]
pub struct MemoRow(Args);

impl MemoRow {
    /// The row of a memo of a run.
    pub fn of(workspace: WorkspaceId, run: RunId, memo: &Memo) -> Result<Self> {
        Ok(Self(args![
            workspace,
            run,
            &memo.path,
            memo.attempt,
            &memo.step,
            memo.outcome.as_str(),
            to_json(memo)?,
            memo.started_at,
            memo.finished_at
        ]))
    }
}

/// Stores memos, each of another step; stale when one of them was finished before.
pub async fn put_memos(tx: &mut Tx, memos: &[(WorkspaceId, RunId, &Memo)]) -> Result<()> {
    let rows = memos
        .iter()
        .map(|(workspace, run, memo)| MemoRow::of(*workspace, *run, memo));
    put_memo_rows(tx, rows.collect::<Result<_>>()?).await
}

/// The same of rows.
pub async fn put_memo_rows(tx: &mut Tx, rows: Vec<MemoRow>) -> Result<()> {
    let wanted = rows.len() as u64;
    let rows = rows.into_iter().map(|row| row.0).collect();
    if PUT_MEMO.run(tx, &Args::new(), rows).await? == wanted {
        Ok(())
    } else {
        Err(StoreError::Stale { what: "step" })
    }
}

/// Removes runs that ended before a moment, with their memos.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(
        "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE finished_at < $1 ORDER BY finished_at LIMIT $2)",
        args![before, limit],
    )
    .await
}

const DELETE_FINISHED: Shape = Shape {
    before: "DELETE FROM runs WHERE state = 'finished' AND id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Deletes finished runs with their memos; answers how many there were.
pub(super) async fn delete_finished(tx: &mut Tx, ids: &[RunId]) -> Result<u64> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    DELETE_FINISHED.run(tx, &args![], rows).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::assert_goes_by_ids;

    #[tokio::test]
    async fn sqlite_looks_runs_of_a_batch_up_by_their_ids() {
        for shape in [FINISH, SLEEP, ACTIVE, LISTED] {
            assert_goes_by_ids(shape).await;
        }
    }
}
