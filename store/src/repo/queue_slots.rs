//! Reserved slots of queues.
//!
//! Invariant: a slot is held by one post.

use std::collections::BTreeSet;

use so_model::{
    id::{PostId, QueueId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Sql, Tx, args};

/// Reserves a slot for a post; false when it is taken, by this post too.
pub async fn reserve(
    tx: &mut Tx,
    workspace: WorkspaceId,
    queue: QueueId,
    slot_at: Timestamp,
    post: PostId,
) -> Result<bool> {
    let changed = tx
        .run(
            "INSERT INTO queue_slots (workspace_id, queue_id, slot_at, post_id) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (queue_id, slot_at) DO NOTHING",
            args![workspace, queue, slot_at, post],
        )
        .await?;
    Ok(changed == 1)
}

/// Moments of reserved slots at or after a moment, in microseconds; the `limit` first.
pub async fn taken_after(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    queue: QueueId,
    from: Timestamp,
    limit: i64,
) -> Result<BTreeSet<i64>> {
    sql.all(
        "SELECT slot_at FROM queue_slots WHERE workspace_id = $1 AND queue_id = $2 AND slot_at >= $3 \
         ORDER BY slot_at LIMIT $4",
        args![workspace, queue, from, limit],
    )
    .await?
    .iter()
    .map(|row| row.int(0))
    .collect()
}

/// Frees the slots of a post.
pub async fn release_for_post(tx: &mut Tx, workspace: WorkspaceId, post: PostId) -> Result<u64> {
    tx.run(
        "DELETE FROM queue_slots WHERE workspace_id = $1 AND post_id = $2",
        args![workspace, post],
    )
    .await
}

/// Reserved slots at or after a moment with their posts, earliest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    queue: QueueId,
    from: Timestamp,
    limit: i64,
) -> Result<Vec<(Timestamp, PostId)>> {
    sql.all(
        "SELECT slot_at, post_id FROM queue_slots WHERE workspace_id = $1 AND queue_id = $2 AND slot_at >= $3 \
         ORDER BY slot_at LIMIT $4",
        args![workspace, queue, from, limit],
    )
    .await?
    .iter()
    .map(|row| Ok((row.at(0)?, row.id(1)?)))
    .collect()
}
