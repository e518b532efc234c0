//! Rules and their versions.

use so_model::{
    id::{RuleId, UserId, WorkspaceId},
    rule::RuleDocument,
    time::Timestamp,
};

use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, dialect, value::to_json};

/// A rule without its document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleRow {
    /// Own id.
    pub id: RuleId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Name.
    pub name: String,
    /// Whether it may start runs.
    pub is_enabled: bool,
    /// The live version.
    pub version: i64,
    /// Grows with each change; timers of an older one are void.
    pub generation: i64,
    /// Name of the starter rule it was installed from.
    pub starter: Option<String>,
    /// Why the engine paused it.
    pub problem: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// One version of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleVersion {
    /// The rule.
    pub rule: RuleId,
    /// From 1.
    pub version: i64,
    /// The document.
    pub document: RuleDocument,
    /// The text as its author wrote it; empty if made by the product.
    pub source: String,
    /// Who saved it.
    pub author: Option<UserId>,
    /// Why; empty if nobody said.
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
    /// It is tried beside the live version, or was, and never became that itself.
    pub is_trial: bool,
}

fn read(row: &Row) -> Result<RuleRow> {
    Ok(RuleRow {
        id: row.id(0)?,
        workspace: row.id(1)?,
        name: row.text(2)?,
        is_enabled: row.truth(3)?,
        version: row.int(4)?,
        generation: row.int(5)?,
        starter: row.opt_text(6)?,
        problem: row.opt_text(7)?,
        created_at: row.at(8)?,
        updated_at: row.at(9)?,
    })
}

fn read_version(row: &Row) -> Result<RuleVersion> {
    Ok(RuleVersion {
        rule: row.id(0)?,
        version: row.int(1)?,
        document: row.json(2)?,
        source: row.text(3)?,
        author: row.opt_id(4)?,
        reason: row.text(5)?,
        created_at: row.at(6)?,
        is_trial: row.truth(7)?,
    })
}

/// Stores a new rule with its first version.
pub async fn insert(tx: &mut Tx, rule: &RuleRow, version: &RuleVersion) -> Result<()> {
    tx.run(
        "INSERT INTO rules (id, workspace_id, name, is_enabled, version, generation, starter, problem, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        args![
            rule.id, rule.workspace, &rule.name, rule.is_enabled, rule.version, rule.generation,
            rule.starter.clone(), rule.problem.clone(), rule.created_at, rule.updated_at
        ],
    )
    .await?;
    note_switch(
        tx,
        rule.workspace,
        rule.id,
        rule.is_enabled,
        rule.created_at,
    )
    .await?;
    insert_version(tx, rule.workspace, version).await
}

// Told apart from the last one by the statement itself, so that every way to a switch is noted once.
async fn note_switch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    is_enabled: bool,
    now: Timestamp,
) -> Result<()> {
    tx.run(
        "INSERT INTO rule_switches (workspace_id, rule_id, at, is_enabled) \
         SELECT rules.workspace_id, rules.id, $3, rules.is_enabled FROM rules \
         WHERE rules.workspace_id = $1 AND rules.id = $2 AND rules.is_enabled = $4 AND COALESCE((SELECT last.is_enabled \
         FROM rule_switches AS last WHERE last.rule_id = $2 ORDER BY last.at DESC LIMIT 1), -1) <> $4 \
         ON CONFLICT (rule_id, at) DO UPDATE SET is_enabled = excluded.is_enabled",
        args![workspace, rule, now, is_enabled],
    )
    .await?;
    Ok(())
}

/// Stores a version, which is live from the moment it is made unless it is a trial.
pub async fn insert_version(
    tx: &mut Tx,
    workspace: WorkspaceId,
    version: &RuleVersion,
) -> Result<()> {
    let document = to_json(&version.document)?;
    super::script_library::pin(tx, workspace, version.rule, version.version, &document).await?;
    tx.run(
        "INSERT INTO rule_versions (workspace_id, rule_id, version, doc, source, author, reason, created_at, is_trial) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            workspace, version.rule, version.version, document,
            &version.source, version.author, &version.reason, version.created_at,
            version.is_trial
        ],
    )
    .await?;
    Ok(())
}

/// Changes a rule that is still at `rule.generation - 1`.
///
/// Fails as stale when somebody else changed it in between.
pub async fn update(tx: &mut Tx, rule: &RuleRow) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE rules SET name = $3, is_enabled = $4, version = $5, generation = $6, problem = $7, updated_at = $8 \
             WHERE workspace_id = $1 AND id = $2 AND generation = $6 - 1 AND deleted_at IS NULL",
            args![
                rule.workspace, rule.id, &rule.name, rule.is_enabled, rule.version,
                rule.generation, rule.problem.clone(), rule.updated_at
            ],
        )
        .await?;
    if changed != 1 {
        return Err(StoreError::Stale { what: "rule" });
    }
    note_switch(
        tx,
        rule.workspace,
        rule.id,
        rule.is_enabled,
        rule.updated_at,
    )
    .await
}

/// Deletes a rule; its runs and versions stay for the history.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: RuleId,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE rules SET deleted_at = $3, updated_at = $3, is_enabled = 0, generation = generation + 1 \
             WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            args![workspace, id, now],
        )
        .await?;
    note_switch(tx, workspace, id, false, now).await?;
    Ok(changed == 1)
}

/// The rule with an id, unless it was deleted.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: RuleId,
) -> Result<Option<RuleRow>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, name, is_enabled, version, generation, starter, problem, created_at, updated_at \
             FROM rules WHERE workspace_id = $1 AND id = $2 AND deleted_at IS NULL",
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Rules of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<RuleRow>> {
    sql.all(
        "SELECT id, workspace_id, name, is_enabled, version, generation, starter, problem, created_at, updated_at \
         FROM rules WHERE workspace_id = $1 AND deleted_at IS NULL AND id > $2 ORDER BY id LIMIT $3",
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// A live rule with its document, for the engine's index.
pub type LiveRule = (RuleRow, RuleDocument);

/// Every rule of every workspace that is switched on, with its live document.
pub async fn list_live(sql: &mut dyn Sql) -> Result<Vec<LiveRule>> {
    sql.all(
        "SELECT rules.id, rules.workspace_id, rules.name, rules.is_enabled, rules.version, rules.generation, \
         rules.starter, rules.problem, rules.created_at, rules.updated_at, rule_versions.doc \
         FROM rules JOIN rule_versions ON rule_versions.rule_id = rules.id AND rule_versions.version = rules.version \
         WHERE rules.is_enabled = 1 AND rules.deleted_at IS NULL ORDER BY rules.id",
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((read(row)?, row.json(10)?)))
    .collect()
}

/// Notes that a rule changed for whoever reads all rules, though neither its version nor its timers did.
pub async fn touch(tx: &mut Tx, workspace: WorkspaceId, id: RuleId, now: Timestamp) -> Result<()> {
    tx.run(
        "UPDATE rules SET updated_at = $3 WHERE workspace_id = $1 AND id = $2",
        args![workspace, id, now],
    )
    .await?;
    Ok(())
}

/// Number of rules, and sum of their generations and of when their canaries began: differs after any change to any rule.
pub async fn stamp(sql: &mut dyn Sql) -> Result<(i64, i64)> {
    let row = sql
        .one(
            "SELECT COUNT(*), CAST(COALESCE(SUM(generation), 0) AS BIGINT) \
             + (SELECT CAST(COALESCE(SUM(started_at / 1000 + 1), 0) AS BIGINT) FROM rule_canaries WHERE problem IS NULL) FROM rules",
            args![],
        )
        .await?;
    row.map_or(Ok((0, 0)), |row| Ok((row.int(0)?, row.int(1)?)))
}

const NEWEST_CHANGE: Shape = Shape {
    before: "SELECT COALESCE(MAX(updated_at), 0) FROM rules WHERE workspace_id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// When a rule of any workspace last changed; the epoch if there is none.
pub async fn newest_change_of_any(sql: &mut dyn Sql) -> Result<Timestamp> {
    let row = sql
        .one("SELECT COALESCE(MAX(updated_at), 0) FROM rules", args![])
        .await?;
    row.map_or(Ok(Timestamp::default()), |row| row.at(0))
}

/// When a rule of any of these workspaces last changed; the epoch if they have none.
pub async fn newest_change(sql: &mut dyn Sql, workspaces: &[WorkspaceId]) -> Result<Timestamp> {
    let newest = NEWEST_CHANGE
        .read(sql, &args![], workspaces, |row| row.at(0))
        .await?;
    Ok(newest.into_iter().max().unwrap_or_default())
}

/// One version of a rule, also of a deleted one.
pub async fn find_version(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
) -> Result<Option<RuleVersion>> {
    let row = sql
        .one(
            "SELECT rule_id, version, doc, source, author, reason, created_at, is_trial FROM rule_versions \
             WHERE workspace_id = $1 AND rule_id = $2 AND version = $3",
            args![workspace, rule, version],
        )
        .await?;
    row.as_ref().map(read_version).transpose()
}

/// Versions of a rule, newest first.
pub async fn list_versions(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<RuleVersion>> {
    sql.all(
        "SELECT rule_id, version, doc, source, author, reason, created_at, is_trial FROM rule_versions \
         WHERE workspace_id = $1 AND rule_id = $2 ORDER BY version DESC LIMIT $3",
        args![workspace, rule, limit],
    )
    .await?
    .iter()
    .map(read_version)
    .collect()
}

/// The number that the next version of a rule has. The rule was locked.
pub async fn next_version(tx: &mut Tx, workspace: WorkspaceId, rule: RuleId) -> Result<i64> {
    let row = tx
        .one(
            "SELECT COALESCE(MAX(version), 0) + 1 FROM rule_versions WHERE workspace_id = $1 AND rule_id = $2",
            args![workspace, rule],
        )
        .await?;
    row.map_or(Ok(1), |row| row.int(0))
}

/// Makes every other process wait that wants to decide about this rule.
pub async fn lock(tx: &mut Tx, id: RuleId) -> Result<()> {
    let sql = dialect::lock_rule(tx.backend());
    tx.one(sql, args![id]).await?;
    Ok(())
}

/// When a rule was there and switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleHistory {
    /// The rule as it is, or as it was last.
    pub rule: RuleRow,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// Switches, the oldest first; before the first one nothing was recorded.
    pub switches: Vec<(Timestamp, bool)>,
}

impl RuleHistory {
    /// Whether it was on at a moment; none if that was not recorded yet.
    pub fn was_enabled(&self, at: Timestamp) -> Option<bool> {
        let before = self.switches.iter().rfind(|(since, _)| *since <= at);
        before.map(|(_, is_enabled)| *is_enabled)
    }
}

/// The history of a rule, also of a deleted one; of any workspace if none is named.
pub async fn history(
    sql: &mut dyn Sql,
    workspace: Option<WorkspaceId>,
    id: RuleId,
) -> Result<Option<RuleHistory>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, name, is_enabled, version, generation, starter, problem, created_at, updated_at, \
             deleted_at FROM rules WHERE id = $1",
            args![id],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let rule = read(&row)?;
    if workspace.is_some_and(|workspace| workspace != rule.workspace) {
        return Ok(None);
    }
    let switches = sql
        .all(
            "SELECT at, is_enabled FROM rule_switches WHERE rule_id = $1 ORDER BY at DESC LIMIT $2",
            args![id, SWITCHES_MAX],
        )
        .await?;
    let switches: Result<Vec<_>> = switches
        .iter()
        .rev()
        .map(|row| Ok((row.at(0)?, row.truth(1)?)))
        .collect();
    Ok(Some(RuleHistory {
        rule,
        deleted_at: row.opt_at(10)?,
        switches: switches?,
    }))
}

/// Switches of a rule that are read; whoever switches more often is told of the latest.
const SWITCHES_MAX: i64 = 1_000;

/// The number of the version that was the live one at a moment.
pub async fn version_at(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    at: Timestamp,
) -> Result<Option<i64>> {
    let row = sql
        .one(
            "SELECT version FROM rule_versions WHERE workspace_id = $1 AND rule_id = $2 AND created_at <= $3 \
             AND is_trial = 0 ORDER BY created_at DESC, version DESC LIMIT 1",
            args![workspace, rule, at],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}
