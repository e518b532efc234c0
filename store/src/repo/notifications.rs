//! Messages to people inside the product.

use serde::{Deserialize, Serialize};
use so_model::{
    id::{NotificationId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Row, Sql, Tx, args};

/// A message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notification {
    /// Own id.
    pub id: NotificationId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// `info`, `warning`, `error`.
    pub level: String,
    /// Headline.
    pub title: String,
    /// Text.
    pub body: String,
    /// Page that it is about.
    pub link: Option<String>,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When it was first read.
    pub read_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<Notification> {
    Ok(Notification {
        id: row.id(0)?,
        workspace: row.id(1)?,
        level: row.text(2)?,
        title: row.text(3)?,
        body: row.text(4)?,
        link: row.opt_text(5)?,
        created_at: row.at(6)?,
        read_at: row.opt_at(7)?,
    })
}

/// Stores a message; false when one with this id was stored before.
pub async fn insert(tx: &mut Tx, notification: &Notification) -> Result<bool> {
    let changed = tx
        .run(
            "INSERT INTO notifications (id, workspace_id, level, title, body, link, created_at, read_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING",
            args![
                notification.id,
                notification.workspace,
                &notification.level,
                &notification.title,
                &notification.body,
                notification.link.clone(),
                notification.created_at,
                notification.read_at
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Messages of a workspace, newest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    unread_only: bool,
    before: &str,
    limit: i64,
) -> Result<Vec<Notification>> {
    sql.all(
        "SELECT id, workspace_id, level, title, body, link, created_at, read_at FROM notifications \
         WHERE workspace_id = $1 AND ($2 = 0 OR read_at IS NULL) AND ($3 = '' OR id < $3) ORDER BY id DESC LIMIT $4",
        args![workspace, unread_only, before, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// How many messages are unread.
pub async fn count_unread(sql: &mut dyn Sql, workspace: WorkspaceId) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM notifications WHERE workspace_id = $1 AND read_at IS NULL",
            args![workspace],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Marks a message as read; false when there is none.
pub async fn mark_read(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: NotificationId,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE notifications SET read_at = COALESCE(read_at, $3) WHERE workspace_id = $1 AND id = $2",
            args![workspace, id, now],
        )
        .await?;
    Ok(changed == 1)
}

/// Marks every message as read.
pub async fn mark_all_read(tx: &mut Tx, workspace: WorkspaceId, now: Timestamp) -> Result<u64> {
    tx.run(
        "UPDATE notifications SET read_at = $2 WHERE workspace_id = $1 AND read_at IS NULL",
        args![workspace, now],
    )
    .await
}
