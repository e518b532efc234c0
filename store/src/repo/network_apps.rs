//! Credentials of this instance's app at a network's host: sealed, of no workspace.

use so_model::time::Timestamp;

use super::secrets::{open_text, read_sealed};
use crate::{
    Result, Sql, Tx, args,
    vault::{SecretText, Vault},
};

/// Stands for the workspace in the seal of what belongs to the whole instance.
const PLACE: &str = "instance";

/// Stores the app's credentials, in place of earlier ones.
pub async fn put(
    tx: &mut Tx,
    vault: &Vault,
    network: &str,
    host: &str,
    plaintext: &str,
    now: Timestamp,
) -> Result<()> {
    let sealed = vault.seal(PLACE, network, host, plaintext.as_bytes())?;
    tx.run(
        "INSERT INTO network_apps (network, host, key_id, wrapped_key, sealed, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (network, host) DO UPDATE SET key_id = excluded.key_id, wrapped_key = excluded.wrapped_key, \
         sealed = excluded.sealed, created_at = excluded.created_at",
        args![network, host, sealed.key_id, sealed.wrapped_key, sealed.sealed, now],
    )
    .await?;
    Ok(())
}

/// The app's credentials in the clear.
pub async fn find(
    sql: &mut dyn Sql,
    vault: &Vault,
    network: &str,
    host: &str,
) -> Result<Option<SecretText>> {
    let row = sql
        .one(
            "SELECT key_id, wrapped_key, sealed FROM network_apps WHERE network = $1 AND host = $2",
            args![network, host],
        )
        .await?;
    row.map(|row| open_text(vault, PLACE, network, host, &read_sealed(&row, 0)?))
        .transpose()
}

/// Forgets the app, as when the host no longer knows it.
pub async fn delete(tx: &mut Tx, network: &str, host: &str) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM network_apps WHERE network = $1 AND host = $2",
            args![network, host],
        )
        .await?;
    Ok(changed == 1)
}

/// Wraps up to `limit` data keys under the current master key; answers how many remain.
pub(super) async fn rotate(tx: &mut Tx, vault: &Vault, limit: i64) -> Result<i64> {
    let rows = tx
        .all(
            "SELECT network, host, key_id, wrapped_key, sealed FROM network_apps \
             WHERE key_id <> $1 ORDER BY network, host LIMIT $2",
            args![vault.current_key_id(), limit],
        )
        .await?;
    for row in &rows {
        let (network, host) = (row.text(0)?, row.text(1)?);
        let old = read_sealed(row, 2)?;
        let new = vault.rewrap(PLACE, &network, &host, &old)?;
        tx.run(
            "UPDATE network_apps SET key_id = $3, wrapped_key = $4 \
             WHERE network = $1 AND host = $2 AND wrapped_key = $5",
            args![network, host, new.key_id, new.wrapped_key, old.wrapped_key],
        )
        .await?;
    }
    let row = tx
        .one(
            "SELECT COUNT(*) FROM network_apps WHERE key_id <> $1",
            args![vault.current_key_id()],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}
