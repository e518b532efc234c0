//! Drafts of rules: what is being written beside the version that is live.
//!
//! Invariant: a rule has one draft at most, and whoever writes it says which one they saw.

use so_model::{
    id::{RuleId, UserId, WorkspaceId},
    time::Timestamp,
};

use crate::{Result, Row, Sql, StoreError, Tx, args};

/// A draft.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleDraft {
    /// The rule.
    pub rule: RuleId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// How the text is written: `yaml` or `json`.
    pub format: String,
    /// The text; it need not be a rule yet.
    pub text: String,
    /// The cases beside it; none leaves those of the live version.
    pub cases: Option<String>,
    /// The version it was begun from.
    pub base_version: i64,
    /// Who wrote it last.
    pub author: UserId,
    /// Why, as far as that was said.
    pub reason: String,
    /// Grows with each change, from the milliseconds of its beginning: a draft that takes the place of another is
    /// not taken for it.
    pub generation: i64,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was written last.
    pub updated_at: Timestamp,
}

fn read(row: &Row) -> Result<RuleDraft> {
    Ok(RuleDraft {
        rule: row.id(0)?,
        workspace: row.id(1)?,
        format: row.text(2)?,
        text: row.text(3)?,
        cases: row.opt_text(4)?,
        base_version: row.int(5)?,
        author: row.id(6)?,
        reason: row.text(7)?,
        generation: row.int(8)?,
        created_at: row.at(9)?,
        updated_at: row.at(10)?,
    })
}

/// Stores a draft that is new, or was seen at `generation - 1`.
///
/// Fails as stale when somebody else wrote one in between.
pub async fn put(tx: &mut Tx, draft: &RuleDraft, is_new: bool) -> Result<()> {
    let changed = if is_new {
        tx.run(
            "INSERT INTO rule_drafts (workspace_id, rule_id, format, text, cases, base_version, author, reason, \
             generation, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) \
             ON CONFLICT (rule_id) DO NOTHING",
            args![
                draft.workspace, draft.rule, &draft.format, &draft.text, draft.cases.clone(), draft.base_version,
                draft.author, &draft.reason, draft.generation, draft.created_at, draft.updated_at
            ],
        )
        .await?
    } else {
        tx.run(
            "UPDATE rule_drafts SET format = $3, text = $4, cases = $5, base_version = $6, author = $7, reason = $8, \
             generation = $9, updated_at = $10 WHERE workspace_id = $1 AND rule_id = $2 AND generation = $9 - 1",
            args![
                draft.workspace, draft.rule, &draft.format, &draft.text, draft.cases.clone(), draft.base_version,
                draft.author, &draft.reason, draft.generation, draft.updated_at
            ],
        )
        .await?
    };
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale { what: "rule draft" })
    }
}

/// The draft of a rule.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
) -> Result<Option<RuleDraft>> {
    let row = sql
        .one(
            "SELECT rule_id, workspace_id, format, text, cases, base_version, author, reason, generation, created_at, \
             updated_at FROM rule_drafts WHERE workspace_id = $1 AND rule_id = $2",
            args![workspace, rule],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Puts a draft on top of a version with the same document as the one it was begun from.
pub async fn rebase(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    from: i64,
    to: i64,
) -> Result<()> {
    tx.run(
        "UPDATE rule_drafts SET base_version = $4 WHERE workspace_id = $1 AND rule_id = $2 AND base_version = $3",
        args![workspace, rule, from, to],
    )
    .await?;
    Ok(())
}

/// Removes a draft; `generation` is the one that was seen, none takes any.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    generation: Option<i64>,
) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM rule_drafts WHERE workspace_id = $1 AND rule_id = $2 AND generation = COALESCE($3, generation)",
            args![workspace, rule, generation],
        )
        .await?;
    Ok(changed == 1)
}
