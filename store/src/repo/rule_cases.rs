//! Cases beside the versions of rules, and overrides of cases that failed.

use so_model::id::{RuleId, UserId, WorkspaceId};

use crate::{Result, Row, Sql, Tx, args};

/// What stands beside a version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionCases {
    /// The version.
    pub version: i64,
    /// The text of the cases; empty without.
    pub cases: String,
    /// Why it was published although cases failed.
    pub override_reason: Option<String>,
    /// Who published it so.
    pub override_by: Option<UserId>,
}

fn read(row: &Row) -> Result<VersionCases> {
    Ok(VersionCases {
        version: row.int(0)?,
        cases: row.text(1)?,
        override_reason: row.opt_text(2)?,
        override_by: row.opt_id(3)?,
    })
}

/// Stores what stands beside a version; an override stays when nothing is said about one.
pub async fn put(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    beside: &VersionCases,
) -> Result<()> {
    tx.run(
        "INSERT INTO rule_cases (workspace_id, rule_id, version, cases, override_reason, override_by) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (rule_id, version) DO UPDATE SET cases = excluded.cases, \
         override_reason = COALESCE(excluded.override_reason, rule_cases.override_reason), \
         override_by = COALESCE(excluded.override_by, rule_cases.override_by)",
        args![
            workspace, rule, beside.version, &beside.cases, beside.override_reason.clone(), beside.override_by
        ],
    )
    .await?;
    Ok(())
}

/// What stands beside a version; nothing if none was stored.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
) -> Result<VersionCases> {
    let row = sql
        .one(
            "SELECT version, cases, override_reason, override_by FROM rule_cases \
             WHERE workspace_id = $1 AND rule_id = $2 AND version = $3",
            args![workspace, rule, version],
        )
        .await?;
    let found = row.as_ref().map(read).transpose()?;
    Ok(found.unwrap_or_else(|| VersionCases {
        version,
        ..VersionCases::default()
    }))
}

/// Versions of a rule that were published although cases failed, the newest first.
pub async fn list_overridden(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<VersionCases>> {
    sql.all(
        "SELECT version, cases, override_reason, override_by FROM rule_cases \
         WHERE workspace_id = $1 AND rule_id = $2 AND override_reason IS NOT NULL ORDER BY version DESC LIMIT $3",
        args![workspace, rule, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}
