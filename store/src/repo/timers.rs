//! Timers: moments that will come, with the generation they belong to.

use serde_json::Value;
use so_model::{
    id::{TimerId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Row, Sql, Tx, args, bulk::Shape, dialect, value::to_json};

/// A timer.
#[derive(Debug, Clone, PartialEq)]
pub struct Timer {
    /// Own id.
    pub id: TimerId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// `rule`, `post`, `recurrence`, `queue`, `debounce`, `silence`.
    pub kind: String,
    /// The row it belongs to.
    pub subject: String,
    /// Which of that row's timers: the trigger's id, or empty.
    pub slot: String,
    /// Valid only while the row has this generation.
    pub generation: i64,
    /// When it comes.
    pub due_at: Timestamp,
    /// What it carries.
    pub doc: Value,
}

fn read(row: &Row) -> Result<Timer> {
    Ok(Timer {
        id: row.id(0)?,
        workspace: row.id(1)?,
        kind: row.text(2)?,
        subject: row.text(3)?,
        slot: row.text(4)?,
        generation: row.int(5)?,
        due_at: row.at(6)?,
        doc: row.json(7)?,
    })
}

/// Stores a timer in place of the one with the same kind, row and slot.
pub async fn put(tx: &mut Tx, timer: &Timer) -> Result<()> {
    tx.run(
        "INSERT INTO timers (id, workspace_id, kind, ref, slot, generation, due_at, doc) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
         ON CONFLICT (kind, ref, slot) DO UPDATE SET generation = excluded.generation, due_at = excluded.due_at, \
         doc = excluded.doc",
        args![
            timer.id, timer.workspace, &timer.kind, &timer.subject, &timer.slot, timer.generation,
            timer.due_at, to_json(&timer.doc)?
        ],
    )
    .await?;
    Ok(())
}

/// Timers that are due, earliest first, held against other processes.
pub async fn claim_due(tx: &mut Tx, now: Timestamp, limit: i64) -> Result<Vec<Timer>> {
    let sql = dialect::due_timers(tx.backend());
    tx.all(sql, args![now, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}

const DELETE: Shape = Shape {
    before: "DELETE FROM timers WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Removes timers.
pub async fn delete_many(tx: &mut Tx, ids: &[TimerId]) -> Result<()> {
    let rows = ids.iter().map(|id| args![*id]).collect();
    DELETE.run(tx, &args![], rows).await?;
    Ok(())
}

/// Removes one timer.
pub async fn delete(tx: &mut Tx, id: TimerId) -> Result<()> {
    delete_many(tx, &[id]).await
}

/// Removes every timer of one kind of a row.
pub async fn delete_for(tx: &mut Tx, kind: &str, subject: &str) -> Result<u64> {
    tx.run(
        "DELETE FROM timers WHERE kind = $1 AND ref = $2",
        args![kind, subject],
    )
    .await
}

/// Timers of a row.
pub async fn list_for(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    subject: &str,
) -> Result<Vec<Timer>> {
    sql.all(
        "SELECT id, workspace_id, kind, ref, slot, generation, due_at, doc FROM timers \
         WHERE workspace_id = $1 AND kind = $2 AND ref = $3 ORDER BY due_at, id",
        args![workspace, kind, subject],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// When the next timer comes.
pub async fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>> {
    let row = sql.one("SELECT MIN(due_at) FROM timers", args![]).await?;
    row.map_or(Ok(None), |row| row.opt_at(0))
}
