//! Queues: named sets of weekly slots.

use serde::{Deserialize, Serialize};
use so_model::{
    id::{AccountId, QueueId, WorkspaceId},
    time::Timestamp,
};

use super::expect_one;
use crate::{Result, Row, Sql, Tx, args, value::to_json};

/// A queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Own id.
    pub id: QueueId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name, unique in the workspace.
    pub name: String,
    /// Its slots pass unused.
    pub is_paused: bool,
    /// Grows with each change; timers of an older one are void.
    pub generation: i64,
    /// Accounts, zone and slots.
    pub doc: QueueDoc,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Accounts, zone and slots of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDoc {
    /// Where its posts go unless they say otherwise.
    #[serde(default)]
    pub accounts: Vec<AccountId>,
    /// IANA zone of the slots.
    pub time_zone: String,
    /// The slots of a week.
    #[serde(default)]
    pub slots: Vec<WeeklySlot>,
}

/// A moment of every week, in the queue's zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeeklySlot {
    /// `mon` … `sun`.
    pub weekday: String,
    /// `09:00`.
    pub time: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, is_paused, generation, doc, created_at FROM queues ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Queue> {
    Ok(Queue {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        is_paused: row.truth(3)?,
        generation: row.int(4)?,
        doc: row.json(5)?,
        created_at: row.at(6)?,
    })
}

/// Stores a queue; a conflict when the name is taken.
pub async fn insert(tx: &mut Tx, queue: &Queue) -> Result<()> {
    tx.run(
        "INSERT INTO queues (id, workspace_id, name, is_paused, generation, doc, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            queue.id,
            queue.workspace,
            &queue.name,
            queue.is_paused,
            queue.generation,
            to_json(&queue.doc)?,
            queue.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The queue with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: QueueId) -> Result<Option<Queue>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The queue with a name.
pub async fn find_by_name(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Option<Queue>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND name = $2"),
            args![workspace, name],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Stores a changed queue as the generation after `expected`; answers it.
///
/// Stale when the stored generation is another; a conflict when the name is taken.
pub async fn update(tx: &mut Tx, queue: &Queue, expected: i64) -> Result<Queue> {
    let mut queue = queue.clone();
    queue.generation = expected + 1;
    let changed = tx
        .run(
            "UPDATE queues SET name = $3, is_paused = $4, generation = $5, doc = $6 \
             WHERE workspace_id = $1 AND id = $2 AND generation = $7",
            args![
                queue.workspace,
                queue.id,
                &queue.name,
                queue.is_paused,
                queue.generation,
                to_json(&queue.doc)?,
                expected
            ],
        )
        .await?;
    expect_one(changed, "queue")?;
    Ok(queue)
}

/// Queues of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Queue>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Deletes a queue with its reservations; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: QueueId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM queues WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    Ok(changed == 1)
}
