//! Inbound webhooks.
//!
//! Invariant: the secret part of the address is found by its hash only.

use std::collections::HashMap;

use serde_json::Value;
use so_model::{
    id::{HookId, WorkspaceId},
    time::Timestamp,
};

use super::{event_lists, expect_one, instance};
use crate::{Result, Row, Sql, Tx, args, bulk::Shape, value::to_json};

/// An inbound webhook.
#[derive(Debug, Clone, PartialEq)]
pub struct Hook {
    /// Own id.
    pub id: HookId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name.
    pub name: String,
    /// Hash of the secret part of its address.
    pub token_hash: String,
    /// How deliveries are verified, without the secret.
    pub verify: Value,
    /// Whether deliveries are taken.
    pub is_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, token_hash, verify, is_enabled, created_at FROM hooks ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Hook> {
    Ok(Hook {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        token_hash: row.text(3)?,
        verify: row.json(4)?,
        is_enabled: row.truth(5)?,
        created_at: row.at(6)?,
    })
}

/// Stores a webhook.
pub async fn insert(tx: &mut Tx, hook: &Hook) -> Result<()> {
    tx.run(
        "INSERT INTO hooks (id, workspace_id, name, token_hash, verify, is_enabled, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        args![
            hook.id,
            hook.workspace,
            &hook.name,
            &hook.token_hash,
            to_json(&hook.verify)?,
            hook.is_enabled,
            hook.created_at
        ],
    )
    .await?;
    Ok(())
}

const BY_HASHES: Shape = Shape {
    before: select!("WHERE token_hash IN ("),
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Webhooks whose addresses have secret parts with these hashes, in any workspace and in no order.
pub async fn list_by_token_hashes(sql: &mut dyn Sql, token_hashes: &[String]) -> Result<Vec<Hook>> {
    let hashes: Vec<&str> = token_hashes.iter().map(String::as_str).collect();
    BY_HASHES.read(sql, &args![], &hashes, read).await
}

/// The webhook with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: HookId) -> Result<Option<Hook>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Webhooks of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Hook>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The fact that counts changes.
const CHANGES: &str = "hook_changes";

/// How often webhooks were changed or deleted: whoever keeps copies of them asks for this in place of each.
pub async fn changes(sql: &mut dyn Sql) -> Result<i64> {
    instance::counted(sql, CHANGES).await
}

/// Changes name, address, verification and whether it is on; counts as a change whatever it changes.
pub async fn update(tx: &mut Tx, hook: &Hook) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE hooks SET name = $3, token_hash = $4, verify = $5, is_enabled = $6 \
             WHERE workspace_id = $1 AND id = $2",
            args![
                hook.workspace,
                hook.id,
                &hook.name,
                &hook.token_hash,
                to_json(&hook.verify)?,
                hook.is_enabled
            ],
        )
        .await?;
    expect_one(changed, "webhook")?;
    instance::count_up(tx, CHANGES).await
}

/// Deletes a webhook; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: HookId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM hooks WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    if changed == 1 {
        instance::count_up(tx, CHANGES).await?;
    }
    Ok(changed == 1)
}

/// The latest call of a webhook as it was stored, and when; to write rules by.
pub async fn latest_call(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: HookId,
) -> Result<Option<(Value, Timestamp)>> {
    let row = event_lists::latest_call(sql, "data, stored_at", workspace, id).await?;
    row.map(|row| Ok((row.json(0)?, row.at(1)?))).transpose()
}

/// When webhooks of a workspace were called last; none is told for one that never was.
pub async fn latest_calls_at(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    ids: &[HookId],
) -> Result<HashMap<HookId, Timestamp>> {
    let mut told = HashMap::with_capacity(ids.len());
    for id in ids {
        let row = event_lists::latest_call(sql, "stored_at", workspace, *id).await?;
        if let Some(row) = row {
            told.insert(*id, row.at(0)?);
        }
    }
    Ok(told)
}

const EXISTING: Shape = Shape {
    before: "SELECT id FROM hooks WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Which of these webhooks are there.
pub(super) async fn existing(sql: &mut dyn Sql, ids: &[HookId]) -> Result<Vec<HookId>> {
    EXISTING.read(sql, &args![], ids, |row| row.id(0)).await
}
