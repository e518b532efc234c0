//! Keys that rules remember: dedupe and debounce.

use so_model::{
    id::{EventId, RuleId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Sql, Tx, args};

/// Remembers a key; false when it is remembered already and still valid.
pub async fn remember(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    key: &str,
    event: EventId,
    now: Timestamp,
    expires_at: Option<Timestamp>,
) -> Result<bool> {
    let changed = tx
        .run(
            "INSERT INTO rule_keys (workspace_id, rule_id, kind, key, event_id, at, expires_at) \
             VALUES ($1, $2, 'dedupe', $3, $4, $5, $6) \
             ON CONFLICT (rule_id, kind, key) DO UPDATE SET event_id = excluded.event_id, at = excluded.at, \
             expires_at = excluded.expires_at WHERE rule_keys.expires_at <= $5",
            args![workspace, rule, key, event, now, expires_at],
        )
        .await?;
    Ok(changed == 1)
}

/// The event that waits for its quiet spell under a key is now this one.
pub async fn set_debounced(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    key: &str,
    event: EventId,
    now: Timestamp,
) -> Result<()> {
    tx.run(
        "INSERT INTO rule_keys (workspace_id, rule_id, kind, key, event_id, at) VALUES ($1, $2, 'debounce', $3, $4, $5) \
         ON CONFLICT (rule_id, kind, key) DO UPDATE SET event_id = excluded.event_id, at = excluded.at",
        args![workspace, rule, key, event, now],
    )
    .await?;
    Ok(())
}

/// Takes the event that waited under a key.
pub async fn take_debounced(tx: &mut Tx, rule: RuleId, key: &str) -> Result<Option<EventId>> {
    let row = tx
        .one(
            "DELETE FROM rule_keys WHERE rule_id = $1 AND kind = 'debounce' AND key = $2 RETURNING event_id",
            args![rule, key],
        )
        .await?;
    row.map(|row| row.id(0)).transpose()
}

/// Forgets keys whose time is over.
pub async fn prune(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.run("DELETE FROM rule_keys WHERE expires_at <= $1", args![now])
        .await
}

/// Starts counted for a throttle key after a moment, and the oldest of them.
pub async fn count_ticks(
    sql: &mut dyn Sql,
    rule: RuleId,
    key: &str,
    since: Timestamp,
) -> Result<(i64, Option<Timestamp>)> {
    let row = sql
        .one(
            "SELECT COUNT(*), MIN(at) FROM rule_keys WHERE rule_id = $1 AND kind = $2 AND at > $3",
            args![rule, format!("tick:{key}"), since],
        )
        .await?;
    row.map_or(Ok((0, None)), |row| Ok((row.int(0)?, row.opt_at(1)?)))
}

/// The event that a dedupe key is remembered with at a moment, and since when.
pub async fn find_remembered(
    sql: &mut dyn Sql,
    rule: RuleId,
    key: &str,
    now: Timestamp,
) -> Result<Option<(EventId, Timestamp)>> {
    let row = sql
        .one(
            "SELECT event_id, at FROM rule_keys WHERE rule_id = $1 AND kind = 'dedupe' AND key = $2 \
             AND (expires_at IS NULL OR expires_at > $3)",
            args![rule, key, now],
        )
        .await?;
    row.map(|row| Ok((row.id(0)?, row.at(1)?))).transpose()
}

/// Counts a start for a throttle key.
pub async fn add_tick(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    key: &str,
    event: EventId,
    now: Timestamp,
    expires_at: Timestamp,
) -> Result<()> {
    tx.run(
        "INSERT INTO rule_keys (workspace_id, rule_id, kind, key, event_id, at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (rule_id, kind, key) DO NOTHING",
        args![
            workspace,
            rule,
            format!("tick:{key}"),
            event,
            event,
            now,
            expires_at
        ],
    )
    .await?;
    Ok(())
}
