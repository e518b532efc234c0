//! Decisions: why each candidate rule did or did not start.

use so_model::{
    id::{EventId, RuleId, WorkspaceId},
    run::{Decision, Verdict},
    time::Timestamp,
    why::Recorded,
};

use crate::{
    Result, Row, Sql, StoreError, Tx, args,
    bulk::Shape,
    value::{Args, to_json},
};

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
    /// What it looked at beside the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Recorded>,
}

fn read(row: &Row) -> Result<StoredDecision> {
    let name = row.text(4)?;
    let verdict: Verdict = serde_json::from_value(serde_json::Value::String(name))
        .map_err(|error| StoreError::corrupt("verdict", error))?;
    let mut decision = Decision {
        rule: row.id(1)?,
        trigger: row.text(2)?,
        version: row.int(3)?,
        verdict,
        reason: row.text(5)?,
        trace: row.json(6)?,
    };
    // The sentence of the clause that failed is kept once, as the reason.
    if let Some(trace) = decision
        .trace
        .as_mut()
        .filter(|trace| trace.text.is_empty())
    {
        trace.text.clone_from(&decision.reason);
    }
    let seen = row.opt_text(8)?.map(|text| serde_json::from_str(&text));
    Ok(StoredDecision {
        event: row.id(0)?,
        at: row.at(7)?,
        decision,
        seen: seen
            .transpose()
            .map_err(|error| StoreError::corrupt("what a decision saw", error))?,
    })
}

const INSERT: Shape = Shape {
    before: "INSERT INTO decisions (workspace_id, event_id, rule_id, trigger_id, version, verdict, reason, trace, at, seen) VALUES ",
    columns: 10,
    after: " ON CONFLICT (event_id, rule_id, trigger_id) DO UPDATE SET version = excluded.version, \
            verdict = excluded.verdict, reason = excluded.reason, trace = excluded.trace, at = excluded.at, \
            seen = excluded.seen",
    fixed: 0,
};

/// A decision that is to be stored.
#[derive(Debug)]
pub struct NewDecision {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The event.
    pub event: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// The decision.
    pub decision: Decision,
    /// What it looked at beside the event and the version.
    pub seen: Option<Recorded>,
}

/// Stores decisions, no two about the same trigger; one that is there already is replaced.
pub async fn insert_many(tx: &mut Tx, decisions: &[NewDecision]) -> Result<()> {
    let mut rows = Vec::with_capacity(decisions.len());
    for new in decisions {
        let decision = &new.decision;
        rows.push(args![
            new.workspace,
            new.event,
            decision.rule,
            &decision.trigger,
            decision.version,
            decision.verdict.as_str(),
            &decision.reason,
            to_json(&decision.trace)?,
            new.at,
            new.seen.as_ref().map(to_json).transpose()?
        ]);
    }
    INSERT.run(tx, &Args::new(), rows).await?;
    Ok(())
}

/// Stores a decision; a second one for the same trigger replaces it.
pub async fn insert(
    tx: &mut Tx,
    workspace: WorkspaceId,
    event: EventId,
    decision: &Decision,
    now: Timestamp,
) -> Result<()> {
    let new = NewDecision {
        workspace,
        event,
        at: now,
        decision: decision.clone(),
        seen: None,
    };
    insert_many(tx, &[new]).await
}

/// Decisions about one event.
pub async fn list_for_event(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    event: EventId,
) -> Result<Vec<StoredDecision>> {
    sql.all(
        "SELECT event_id, rule_id, trigger_id, version, verdict, reason, trace, at, seen FROM decisions \
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
        "SELECT event_id, rule_id, trigger_id, version, verdict, reason, trace, at, seen FROM decisions \
         WHERE workspace_id = $1 AND rule_id = $2 ORDER BY at DESC LIMIT $3",
        args![workspace, rule, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// The decisions about one rule within a span, the latest first.
pub async fn list_for_rule_between(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    from: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<StoredDecision>> {
    sql.all(
        "SELECT event_id, rule_id, trigger_id, version, verdict, reason, trace, at, seen FROM decisions \
         WHERE workspace_id = $1 AND rule_id = $2 AND at >= $3 AND at <= $4 ORDER BY at DESC LIMIT $5",
        args![workspace, rule, from, until, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}
