//! Inbound webhooks.
//!
//! Invariant: the secret part of the address is found by its hash only.

use serde_json::Value;
use so_model::{
    id::{HookId, WorkspaceId},
    time::Timestamp,
};

use super::expect_one;
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
    /// The last delivery, to write rules by.
    pub sample: Option<Value>,
    /// When that came.
    pub sample_at: Option<Timestamp>,
    /// Whether deliveries are taken.
    pub is_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, name, token_hash, verify, sample, sample_at, is_enabled, created_at FROM hooks ",
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
        sample: if row.opt_text(5)?.is_some() {
            Some(row.json(5)?)
        } else {
            None
        },
        sample_at: row.opt_at(6)?,
        is_enabled: row.truth(7)?,
        created_at: row.at(8)?,
    })
}

/// Stores a webhook.
pub async fn insert(tx: &mut Tx, hook: &Hook) -> Result<()> {
    let sample = hook.sample.as_ref().map(to_json).transpose()?;
    tx.run(
        "INSERT INTO hooks (id, workspace_id, name, token_hash, verify, sample, sample_at, is_enabled, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            hook.id,
            hook.workspace,
            &hook.name,
            &hook.token_hash,
            to_json(&hook.verify)?,
            sample,
            hook.sample_at,
            hook.is_enabled,
            hook.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The webhook whose address has a secret part with this hash, in any workspace.
pub async fn find_by_token_hash(sql: &mut dyn Sql, token_hash: &str) -> Result<Option<Hook>> {
    let row = sql
        .one(select!("WHERE token_hash = $1"), args![token_hash])
        .await?;
    row.as_ref().map(read).transpose()
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

/// Changes name, address, verification and whether it is on; the sample stays.
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
    expect_one(changed, "webhook")
}

/// Deletes a webhook; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: HookId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM hooks WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

/// The last delivery to a hook.
#[derive(Debug, Clone, Copy)]
pub struct Sample<'a> {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The hook.
    pub hook: HookId,
    /// What came.
    pub data: &'a Value,
}

const SAVE_SAMPLES: Shape = Shape {
    before: "WITH came (id, workspace_id, sample) AS (VALUES ",
    columns: 3,
    after: ") UPDATE hooks SET sample = came.sample, sample_at = $1 FROM came \
            WHERE hooks.id = came.id AND hooks.workspace_id || '' = came.workspace_id",
    fixed: 1,
};

/// Keeps deliveries as samples, one for each hook.
pub async fn save_samples(tx: &mut Tx, samples: &[Sample<'_>], now: Timestamp) -> Result<()> {
    let mut rows = Vec::with_capacity(samples.len());
    for one in samples {
        rows.push(args![one.hook, one.workspace, to_json(one.data)?]);
    }
    SAVE_SAMPLES.run(tx, &args![now], rows).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::assert_goes_by_ids;

    #[tokio::test]
    async fn sqlite_looks_hooks_of_a_batch_up_by_their_ids() {
        assert_goes_by_ids(SAVE_SAMPLES).await;
    }
}
