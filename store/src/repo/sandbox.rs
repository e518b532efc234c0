//! The timeline of the built-in network.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    id::{AccountId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Row, Sql, Tx, args, value::to_json};

/// A post as the built-in network shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SandboxPost {
    /// The network's id.
    pub id: String,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The account.
    pub account: AccountId,
    /// The key that the caller gave.
    pub idem_key: String,
    /// Id of the post it answers to.
    pub reply_to: Option<String>,
    /// What it says.
    pub doc: Value,
    /// When it came.
    pub created_at: Timestamp,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, account_id, idem_key, reply_to, doc, created_at, deleted_at FROM sandbox_posts ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<SandboxPost> {
    Ok(SandboxPost {
        id: row.text(0)?,
        workspace: row.id(1)?,
        account: row.id(2)?,
        idem_key: row.text(3)?,
        reply_to: row.opt_text(4)?,
        doc: row.json(5)?,
        created_at: row.at(6)?,
        deleted_at: row.opt_at(7)?,
    })
}

/// Stores a post. Two with one key are kept as two: the network promises nothing here.
pub async fn insert(tx: &mut Tx, post: &SandboxPost) -> Result<()> {
    tx.run(
        "INSERT INTO sandbox_posts (id, workspace_id, account_id, idem_key, reply_to, doc, created_at, deleted_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        args![
            &post.id,
            post.workspace,
            post.account,
            &post.idem_key,
            post.reply_to.clone(),
            to_json(&post.doc)?,
            post.created_at,
            post.deleted_at
        ],
    )
    .await?;
    Ok(())
}

/// The post with an id, unless it was deleted.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: &str,
) -> Result<Option<SandboxPost>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The first post of an account that came with a key, also a deleted one.
pub async fn find_by_key(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    idem_key: &str,
) -> Result<Option<SandboxPost>> {
    let row = sql
        .one(
            select!(
                "WHERE workspace_id = $1 AND account_id = $2 AND idem_key = $3 ORDER BY id LIMIT 1"
            ),
            args![workspace, account, idem_key],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Posts of an account, newest first; deleted ones are left out.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    before: &str,
    limit: i64,
) -> Result<Vec<SandboxPost>> {
    sql.all(
        select!(
            "WHERE workspace_id = $1 AND account_id = $2 AND deleted_at IS NULL AND ($3 = '' OR id < $3) \
             ORDER BY id DESC LIMIT $4"
        ),
        args![workspace, account, before, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Deletes a post; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: &str, now: Timestamp) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE sandbox_posts SET deleted_at = $3 WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            args![workspace, id, now],
        )
        .await?;
    Ok(changed == 1)
}
