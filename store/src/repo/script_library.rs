//! The script library of a workspace: modules, their versions, and which state of it a rule's version calls.
//!
//! Invariant: a version and the revision it made are never changed, so what a rule's version calls stays the same.

use so_model::{
    id::{RuleId, UserId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Row, Sql, StoreError, Tx, args, dialect};

/// What stands before every name of the library in a rule.
const SIGN: &str = "lib::";

/// One version of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleVersion {
    /// Name of the module.
    pub name: String,
    /// From 1.
    pub version: i64,
    /// The state of the library that it made.
    pub revision: i64,
    /// The text as its author wrote it.
    pub source: String,
    /// Who saved it.
    pub author: Option<UserId>,
    /// Why; empty if nobody said.
    pub reason: String,
    /// Why it was saved although cases of rules failed.
    pub override_reason: Option<String>,
    /// When.
    pub created_at: Timestamp,
}

// The columns of a version, which every statement that reads one names alike.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT v.name, v.version, v.revision, v.source, v.author, v.reason, v.override_reason, v.created_at ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<ModuleVersion> {
    Ok(ModuleVersion {
        name: row.text(0)?,
        version: row.int(1)?,
        revision: row.int(2)?,
        source: row.text(3)?,
        author: row.opt_id(4)?,
        reason: row.text(5)?,
        override_reason: row.opt_text(6)?,
        created_at: row.at(7)?,
    })
}

/// The newest state of the library; 0 if nothing was ever saved.
pub async fn revision(sql: &mut dyn Sql, workspace: WorkspaceId) -> Result<i64> {
    let row = sql
        .one(
            "SELECT revision FROM script_libraries WHERE workspace_id = $1",
            args![workspace],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// The same, for whoever changes the library or saves a rule that calls it: they take turns.
pub async fn lock(tx: &mut Tx, workspace: WorkspaceId) -> Result<i64> {
    tx.run(
        "INSERT INTO script_libraries (workspace_id, revision) VALUES ($1, 0) ON CONFLICT (workspace_id) DO NOTHING",
        args![workspace],
    )
    .await?;
    let sql = dialect::lock_library(tx.backend());
    let row = tx.one(sql, args![workspace]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

async fn advance(tx: &mut Tx, workspace: WorkspaceId, revision: i64) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE script_libraries SET revision = $2 WHERE workspace_id = $1 AND revision = $2 - 1",
            args![workspace, revision],
        )
        .await?;
    match changed {
        1 => Ok(()),
        _ => Err(StoreError::Stale {
            what: "script library",
        }),
    }
}

/// Stores a version as the live one of its module. The library was locked at `version.revision - 1`.
pub async fn put(tx: &mut Tx, workspace: WorkspaceId, version: &ModuleVersion) -> Result<()> {
    advance(tx, workspace, version.revision).await?;
    let changed = tx
        .run(
            "INSERT INTO script_modules (workspace_id, name, version, created_at, updated_at) VALUES ($1, $2, $3, $4, $4) \
             ON CONFLICT (workspace_id, name) DO UPDATE SET version = excluded.version, updated_at = excluded.updated_at, \
             deleted_at = NULL WHERE script_modules.version = excluded.version - 1",
            args![workspace, &version.name, version.version, version.created_at],
        )
        .await?;
    if changed != 1 {
        return Err(StoreError::Stale { what: "module" });
    }
    tx.run(
        "INSERT INTO script_module_versions \
         (workspace_id, name, version, revision, source, author, reason, override_reason, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            workspace, &version.name, version.version, version.revision, &version.source, version.author,
            &version.reason, version.override_reason.clone(), version.created_at
        ],
    )
    .await?;
    Ok(())
}

/// Leaves a module out of the library from `revision` on; its versions stay.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    name: &str,
    revision: i64,
    now: Timestamp,
) -> Result<bool> {
    advance(tx, workspace, revision).await?;
    let changed = tx
        .run(
            "UPDATE script_modules SET deleted_at = $3, updated_at = $3 \
             WHERE workspace_id = $1 AND name = $2 AND deleted_at IS NULL",
            args![workspace, name, now],
        )
        .await?;
    // Stays with that version for good, so that a module which is there again is not there in between.
    tx.run(
        "UPDATE script_module_versions SET gone_revision = $3 WHERE workspace_id = $1 AND name = $2 \
         AND gone_revision IS NULL AND version = (SELECT m.version FROM script_modules AS m \
         WHERE m.workspace_id = $1 AND m.name = $2)",
        args![workspace, name, revision],
    )
    .await?;
    Ok(changed == 1)
}

/// The modules of one state of the library, by name.
pub async fn at_revision(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    revision: i64,
) -> Result<Vec<ModuleVersion>> {
    let text = select!(
        "FROM script_module_versions AS v \
         WHERE v.workspace_id = $1 AND (v.gone_revision IS NULL OR v.gone_revision > $2) \
         AND v.revision = (SELECT MAX(n.revision) FROM script_module_versions AS n \
         WHERE n.workspace_id = v.workspace_id AND n.name = v.name AND n.revision <= $2) ORDER BY v.name"
    );
    let rows = sql.all(text, args![workspace, revision]).await?;
    rows.iter().map(read).collect()
}

/// The live version of a module.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    name: &str,
) -> Result<Option<ModuleVersion>> {
    let text = select!(
        "FROM script_modules AS m \
         JOIN script_module_versions AS v ON v.workspace_id = m.workspace_id AND v.name = m.name AND v.version = m.version \
         WHERE m.workspace_id = $1 AND m.name = $2 AND m.deleted_at IS NULL"
    );
    let row = sql.one(text, args![workspace, name]).await?;
    row.as_ref().map(read).transpose()
}

/// Versions of a module, the newest first, also of a deleted one.
pub async fn list_versions(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    name: &str,
    limit: i64,
) -> Result<Vec<ModuleVersion>> {
    let text = select!(
        "FROM script_module_versions AS v \
         WHERE v.workspace_id = $1 AND v.name = $2 ORDER BY v.version DESC LIMIT $3"
    );
    let rows = sql.all(text, args![workspace, name, limit]).await?;
    rows.iter().map(read).collect()
}

/// One version of a module, also of a deleted one.
pub async fn find_version(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    name: &str,
    version: i64,
) -> Result<Option<ModuleVersion>> {
    let text = select!(
        "FROM script_module_versions AS v \
         WHERE v.workspace_id = $1 AND v.name = $2 AND v.version = $3"
    );
    let row = sql.one(text, args![workspace, name, version]).await?;
    row.as_ref().map(read).transpose()
}

/// Notes which state of the library a rule's version calls: the newest one. A document that names nothing of it
/// costs no statement.
pub(crate) async fn pin(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
    document: &str,
) -> Result<()> {
    if !document.contains(SIGN) {
        return Ok(());
    }
    let revision = lock(tx, workspace).await?;
    tx.run(
        "INSERT INTO rule_libraries (rule_id, version, workspace_id, revision) VALUES ($1, $2, $3, $4)",
        args![rule, version, workspace, revision],
    )
    .await?;
    Ok(())
}

/// The state of the library that a rule's version calls; none if it names nothing of it.
pub async fn pinned(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
) -> Result<Option<i64>> {
    let row = sql
        .one(
            "SELECT revision FROM rule_libraries WHERE workspace_id = $1 AND rule_id = $2 AND version = $3",
            args![workspace, rule, version],
        )
        .await?;
    row.map(|row| row.int(0)).transpose()
}

/// Live versions of rules that call the library, by the age of the rule.
pub async fn callers(sql: &mut dyn Sql, workspace: WorkspaceId) -> Result<Vec<(RuleId, i64)>> {
    sql.all(
        "SELECT rules.id, rules.version FROM rules \
         JOIN rule_libraries ON rule_libraries.rule_id = rules.id AND rule_libraries.version = rules.version \
         WHERE rules.workspace_id = $1 AND rules.deleted_at IS NULL ORDER BY rules.id",
        args![workspace],
    )
    .await?
    .iter()
    .map(|row| Ok((row.id(0)?, row.int(1)?)))
    .collect()
}
