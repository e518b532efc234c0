//! Decisions: why each candidate rule did or did not start.

use so_model::{
    id::{EventId, RuleId, WorkspaceId},
    run::{Decision, Verdict},
    time::Timestamp,
};

use crate::{Result, Row, Sql, StoreError, Tx, args, value::to_json};

/// A decision with the event it is about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StoredDecision {
    /// The event.
    pub event: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
}

fn read(row: &Row) -> Result<StoredDecision> {
    let name = row.text(4)?;
    let verdict: Verdict = serde_json::from_value(serde_json::Value::String(name))
        .map_err(|error| StoreError::corrupt("verdict", error))?;
    Ok(StoredDecision {
        event: row.id(0)?,
        at: row.at(7)?,
        decision: Decision {
            rule: row.id(1)?,
            trigger: row.text(2)?,
            version: row.int(3)?,
            verdict,
            reason: row.text(5)?,
            trace: row.json(6)?,
        },
    })
}

/// Stores a decision; a second one for the same trigger replaces it.
pub async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    event: EventId,
    decision: &Decision,
    now: Timestamp,
) -> Result<()> {
    tx.run(
        "INSERT INTO decisions (workspace_id, event_id, rule_id, trigger_id, version, verdict, reason, trace, at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
         ON CONFLICT (event_id, rule_id, trigger_id) DO UPDATE SET version = excluded.version, \
         verdict = excluded.verdict, reason = excluded.reason, trace = excluded.trace, at = excluded.at",
        args![
            workspace, event, decision.rule, &decision.trigger, decision.version,
            decision.verdict.as_str(), &decision.reason, to_json(&decision.trace)?, now
        ],
    )
    .await?;
    Ok(())
}

/// Decisions about one event.
pub async fn list_for_event(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    event: EventId,
) -> Result<Vec<StoredDecision>> {
    sql.all(
        "SELECT event_id, rule_id, trigger_id, version, verdict, reason, trace, at FROM decisions \
         WHERE workspace_id = $1 AND event_id = $2 ORDER BY rule_id, trigger_id",
        args![workspace, event],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The latest decisions about one rule.
pub async fn list_for_rule(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<StoredDecision>> {
    sql.all(
        "SELECT event_id, rule_id, trigger_id, version, verdict, reason, trace, at FROM decisions \
         WHERE workspace_id = $1 AND rule_id = $2 ORDER BY at DESC LIMIT $3",
        args![workspace, rule, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}
