//! Secrets: sealed rows that belong to another row.
//!
//! Invariant: nothing but the vault's output is ever written.

use so_model::{id::WorkspaceId, time::Timestamp};

use crate::{
    Result, Row, Sql, StoreError, Tx, args,
    vault::{Sealed, SecretText, Vault},
};

pub(crate) fn read_sealed(row: &Row, first: usize) -> Result<Sealed> {
    Ok(Sealed {
        key_id: row.text(first)?,
        wrapped_key: row.bytes(first + 1)?,
        sealed: row.bytes(first + 2)?,
    })
}

pub(crate) fn open_text(
    vault: &Vault,
    place: &str,
    owner: &str,
    name: &str,
    sealed: &Sealed,
) -> Result<SecretText> {
    let bytes = vault.open(place, owner, name, sealed)?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| StoreError::Vault("a secret is not text".into()))?;
    Ok(SecretText::new(text))
}

/// Stores a secret of a row, in place of the one with the same name.
pub async fn put(
    tx: &mut Tx,
    vault: &Vault,
    workspace: WorkspaceId,
    owner: &str,
    name: &str,
    plaintext: &str,
    now: Timestamp,
) -> Result<()> {
    let sealed = vault.seal(&workspace.to_string(), owner, name, plaintext.as_bytes())?;
    tx.run(
        "INSERT INTO secrets (workspace_id, owner, name, key_id, wrapped_key, sealed, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) \
         ON CONFLICT (workspace_id, owner, name) DO UPDATE SET key_id = excluded.key_id, \
         wrapped_key = excluded.wrapped_key, sealed = excluded.sealed, updated_at = excluded.updated_at",
        args![workspace, owner, name, sealed.key_id, sealed.wrapped_key, sealed.sealed, now],
    )
    .await?;
    Ok(())
}

/// A secret of a row in the clear.
pub async fn get(
    sql: &mut dyn Sql,
    vault: &Vault,
    workspace: WorkspaceId,
    owner: &str,
    name: &str,
) -> Result<Option<SecretText>> {
    let row = sql
        .one(
            "SELECT key_id, wrapped_key, sealed FROM secrets \
             WHERE workspace_id = $1 AND owner = $2 AND name = $3",
            args![workspace, owner, name],
        )
        .await?;
    row.map(|row| {
        let sealed = read_sealed(&row, 0)?;
        open_text(vault, &workspace.to_string(), owner, name, &sealed)
    })
    .transpose()
}

/// Removes one secret of a row.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, owner: &str, name: &str) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM secrets WHERE workspace_id = $1 AND owner = $2 AND name = $3",
            args![workspace, owner, name],
        )
        .await?;
    Ok(changed == 1)
}

/// Removes every secret of a row.
pub async fn delete_for_owner(tx: &mut Tx, workspace: WorkspaceId, owner: &str) -> Result<u64> {
    tx.run(
        "DELETE FROM secrets WHERE workspace_id = $1 AND owner = $2",
        args![workspace, owner],
    )
    .await
}

/// Wraps up to `limit` data keys under the current master key; answers how many remain.
///
/// Call it, each time in a transaction of its own, until nothing remains.
pub async fn rotate(tx: &mut Tx, vault: &Vault, limit: i64) -> Result<i64> {
    let rows = tx
        .all(
            "SELECT workspace_id, owner, name, key_id, wrapped_key, sealed FROM secrets \
             WHERE key_id <> $1 ORDER BY workspace_id, owner, name LIMIT $2",
            args![vault.current_key_id(), limit],
        )
        .await?;
    for row in &rows {
        let (workspace, owner, name) = (row.text(0)?, row.text(1)?, row.text(2)?);
        let old = read_sealed(row, 3)?;
        let new = vault.rewrap(&workspace, &owner, &name, &old)?;
        // Compared with the wrapped key: a secret replaced meanwhile keeps its new one.
        tx.run(
            "UPDATE secrets SET key_id = $4, wrapped_key = $5 \
             WHERE workspace_id = $1 AND owner = $2 AND name = $3 AND wrapped_key = $6",
            args![
                workspace,
                owner,
                name,
                new.key_id,
                new.wrapped_key,
                old.wrapped_key
            ],
        )
        .await?;
    }
    let apps = super::network_apps::rotate(tx, vault, limit - rows.len() as i64).await?;
    let row = tx
        .one(
            "SELECT COUNT(*) FROM secrets WHERE key_id <> $1",
            args![vault.current_key_id()],
        )
        .await?;
    Ok(apps + row.map_or(Ok(0), |row| row.int(0))?)
}
