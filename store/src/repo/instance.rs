//! Facts about this instance: its id, recovery epoch, heartbeat.

use crate::{Result, Sql, Tx, args};

/// A fact.
pub async fn get(sql: &mut dyn Sql, name: &str) -> Result<Option<String>> {
    let row = sql
        .one("SELECT value FROM instance WHERE name = $1", args![name])
        .await?;
    row.map(|row| row.text(0)).transpose()
}

/// Stores a fact, in place of an earlier one.
pub async fn set(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        args![name, value],
    )
    .await?;
    Ok(())
}

/// Stores a fact unless there is one; answers what holds now.
pub async fn set_once(tx: &mut Tx, name: &str, value: &str) -> Result<String> {
    tx.run(
        "INSERT INTO instance (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING",
        args![name, value],
    )
    .await?;
    Ok(get(tx, name).await?.unwrap_or_else(|| value.to_string()))
}
