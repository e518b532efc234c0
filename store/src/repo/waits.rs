//! Waits of runs for events.
//!
//! Invariant: a wait is met once; who gives it up and who meets it change the same row.

use so_model::id::{EventId, RunId, WorkspaceId};

use crate::{Result, Row, Sql, Tx, args};

/// A run's wait for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// The run.
    pub run: RunId,
    /// Place of its step.
    pub path: String,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Kind of the event.
    pub kind: String,
    /// What the event is about; none is anything.
    pub subject: Option<String>,
}

fn read(row: &Row) -> Result<Wait> {
    Ok(Wait {
        run: row.id(0)?,
        path: row.text(1)?,
        workspace: row.id(2)?,
        kind: row.text(3)?,
        subject: Some(row.text(4)?).filter(|subject| !subject.is_empty()),
    })
}

/// Stores a wait, unless it is there.
pub async fn put(tx: &mut Tx, wait: &Wait) -> Result<()> {
    tx.run(
        "INSERT INTO waits (run_id, path, workspace_id, kind, subject) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (run_id, path) DO NOTHING",
        args![
            wait.run,
            &wait.path,
            wait.workspace,
            &wait.kind,
            wait.subject.as_deref().unwrap_or_default()
        ],
    )
    .await?;
    Ok(())
}

/// Open waits for the same, counted up to a limit.
pub async fn count(sql: &mut dyn Sql, wait: &Wait, limit: i64) -> Result<i64> {
    let subject = wait.subject.as_deref().unwrap_or_default();
    let row = sql
        .one(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM waits WHERE workspace_id = $1 AND kind = $2 \
             AND subject = $3 AND event_id IS NULL LIMIT $4) AS open",
            args![wait.workspace, &wait.kind, subject, limit],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Open waits that an event of a kind about a subject may end, the oldest runs first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    subject: Option<&str>,
    limit: i64,
) -> Result<Vec<Wait>> {
    sql.all(
        "SELECT run_id, path, workspace_id, kind, subject FROM waits WHERE workspace_id = $1 AND kind = $2 \
         AND subject IN ('', $3) AND event_id IS NULL ORDER BY run_id, path LIMIT $4",
        args![workspace, kind, subject.unwrap_or_default(), limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Notes the event that a wait was for; false when it was met, or given up, before.
pub async fn meet(tx: &mut Tx, run: RunId, path: &str, event: EventId) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE waits SET event_id = $3 WHERE run_id = $1 AND path = $2 AND event_id IS NULL",
            args![run, path, event],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends a wait that nothing met; false when something did.
pub async fn give_up(tx: &mut Tx, run: RunId, path: &str) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM waits WHERE run_id = $1 AND path = $2 AND event_id IS NULL",
            args![run, path],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends a wait that was met; the event that did it.
pub async fn take_met(tx: &mut Tx, run: RunId, path: &str) -> Result<Option<EventId>> {
    let row = tx
        .one(
            "DELETE FROM waits WHERE run_id = $1 AND path = $2 AND event_id IS NOT NULL RETURNING event_id",
            args![run, path],
        )
        .await?;
    row.map(|row| row.id(0)).transpose()
}

/// Ends the waits of a step and of everything inside it.
pub async fn delete_below(tx: &mut Tx, run: RunId, path: &str) -> Result<()> {
    tx.run(
        "DELETE FROM waits WHERE run_id = $1 AND (path = $2 OR substr(path, 1, length($2) + 1) = $2 || '/')",
        args![run, path],
    )
    .await?;
    Ok(())
}
