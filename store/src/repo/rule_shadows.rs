//! Shadows of rules: frozen candidates, how far they were compared, and their latest differences.
//!
//! Invariant: counts and the place up to which was read change in one statement, and only for whoever saw the
//! generation before.

use so_model::{
    id::{RuleId, UserId, WorkspaceId},
    rule::RuleDocument,
    shadow::{ShadowCounts, ShadowDifference},
    time::{DAY, Timestamp},
};

use crate::{Result, Row, Sql, StoreError, Tx, args, value::to_json};

/// Differences of one shadow that are kept; older ones are counted and gone.
pub const DIFFERENCES_KEPT: i64 = 500;

/// A shadow.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleShadow {
    /// The rule.
    pub rule: RuleId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The candidate.
    pub document: RuleDocument,
    /// Its text as its author wrote it; empty for other forms.
    pub source: String,
    /// The cases beside it; none leaves those of the live version.
    pub cases: Option<String>,
    /// The live version that it is compared with.
    pub base_version: i64,
    /// The state of the script library that it calls.
    pub library_revision: i64,
    /// Who began it.
    pub author: UserId,
    /// Why, as far as that was said.
    pub reason: String,
    /// It goes live by itself after so many days without a difference.
    pub promote_after_days: Option<i64>,
    /// How far it came.
    pub progress: Progress,
    /// Why it is not compared any further.
    pub problem: Option<String>,
    /// Grows with each change.
    pub generation: i64,
    /// When it began; it is known by that, as another may take its place.
    pub started_at: Timestamp,
}

/// How far a shadow came.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Id of the last event that was looked at; all before it were, too.
    pub after_event: String,
    /// Moments of schedules were looked at until then.
    pub seen_until: Timestamp,
    /// What was found.
    pub counts: ShadowCounts,
    /// When both last did the same.
    pub same_at: Option<Timestamp>,
    /// When the latest difference happened.
    pub differed_at: Option<Timestamp>,
}

fn read(row: &Row) -> Result<RuleShadow> {
    Ok(RuleShadow {
        rule: row.id(0)?,
        workspace: row.id(1)?,
        document: row.json(2)?,
        source: row.text(3)?,
        cases: row.opt_text(4)?,
        base_version: row.int(5)?,
        library_revision: row.int(6)?,
        author: row.id(7)?,
        reason: row.text(8)?,
        promote_after_days: row.opt_int(9)?,
        progress: Progress {
            after_event: row.text(10)?,
            seen_until: row.at(11)?,
            counts: ShadowCounts {
                same: row.int(12)?,
                only_live: row.int(13)?,
                only_candidate: row.int(14)?,
                differs: row.int(15)?,
                unknown: row.int(16)?,
            },
            same_at: row.opt_at(17)?,
            differed_at: row.opt_at(18)?,
        },
        problem: row.opt_text(19)?,
        generation: row.int(20)?,
        started_at: row.at(21)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT rule_id, workspace_id, doc, source, cases, base_version, library_revision, author, reason, \
             promote_after_days, after_event, seen_until, same, only_live, only_candidate, differs, unknown, same_at, \
             differed_at, problem, generation, started_at FROM rule_shadows ",
            $rest
        )
    };
}

/// Stores a new shadow; a conflict if the rule has one.
pub async fn insert(tx: &mut Tx, shadow: &RuleShadow) -> Result<()> {
    let progress = &shadow.progress;
    let made = tx
        .run(
            "INSERT INTO rule_shadows (workspace_id, rule_id, doc, source, cases, base_version, library_revision, \
             author, reason, promote_after_days, after_event, seen_until, same, only_live, only_candidate, differs, \
             unknown, same_at, differed_at, problem, generation, lease_until, started_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 0, 0, 0, 0, 0, NULL, NULL, NULL, 1, 0, $13) \
             ON CONFLICT (rule_id) DO NOTHING",
            args![
                shadow.workspace, shadow.rule, to_json(&shadow.document)?, &shadow.source, shadow.cases.clone(),
                shadow.base_version, shadow.library_revision, shadow.author, &shadow.reason,
                shadow.promote_after_days, &progress.after_event, progress.seen_until, shadow.started_at
            ],
        )
        .await?;
    if made == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            what: "rule shadow",
        })
    }
}

/// The shadow of a rule.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
) -> Result<Option<RuleShadow>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND rule_id = $2"),
            args![workspace, rule],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Ends the shadow that began at a moment, none takes any; its differences go with it.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    started_at: Option<Timestamp>,
) -> Result<bool> {
    let gone = tx
        .run(
            "DELETE FROM rule_shadows WHERE workspace_id = $1 AND rule_id = $2 AND started_at = COALESCE($3, started_at)",
            args![workspace, rule, started_at],
        )
        .await?;
    if gone == 1 {
        tx.run(
            "DELETE FROM shadow_differences WHERE workspace_id = $1 AND rule_id = $2",
            args![workspace, rule],
        )
        .await?;
    }
    Ok(gone == 1)
}

/// Shadows of all workspaces that nobody moves now, those that came the least far first.
pub async fn list_free(sql: &mut dyn Sql, now: Timestamp, limit: i64) -> Result<Vec<RuleShadow>> {
    sql.all(
        select!(
            "WHERE problem IS NULL AND lease_until <= $1 ORDER BY seen_until, rule_id LIMIT $2"
        ),
        args![now, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Shadows of all workspaces that go live by themselves now: since the latest difference both did the same once at
/// least, nothing differed for as many days as was asked, and everything was looked at but for the last `lag_max`.
pub async fn list_proven(
    sql: &mut dyn Sql,
    now: Timestamp,
    lag_max: i64,
    limit: i64,
) -> Result<Vec<RuleShadow>> {
    sql.all(
        select!(
            "WHERE problem IS NULL AND promote_after_days IS NOT NULL AND seen_until >= $1 \
             AND same_at > started_at AND same_at > COALESCE(differed_at, started_at) \
             AND started_at <= $2 - promote_after_days * $3 \
             AND COALESCE(differed_at, started_at) <= $2 - promote_after_days * $3 \
             ORDER BY started_at, rule_id LIMIT $4"
        ),
        args![now.plus(-lag_max), now, DAY, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Takes a shadow that was seen at `generation` until a moment; false if somebody else was faster.
pub async fn claim(
    tx: &mut Tx,
    shadow: &RuleShadow,
    now: Timestamp,
    until: Timestamp,
) -> Result<bool> {
    let taken = tx
        .run(
            "UPDATE rule_shadows SET lease_until = $5, generation = generation + 1 \
             WHERE workspace_id = $1 AND rule_id = $2 AND generation = $3 AND started_at = $6 AND lease_until <= $4",
            args![shadow.workspace, shadow.rule, shadow.generation, now, until, shadow.started_at],
        )
        .await?;
    Ok(taken == 1)
}

/// Stores how far a claimed shadow came, and frees it; false if it is not the one that was claimed any more.
pub async fn advance(tx: &mut Tx, shadow: &RuleShadow) -> Result<bool> {
    let (progress, counts) = (&shadow.progress, &shadow.progress.counts);
    let moved = tx
        .run(
            "UPDATE rule_shadows SET after_event = $4, seen_until = $5, same = $6, only_live = $7, only_candidate = $8, \
             differs = $9, unknown = $10, same_at = $11, differed_at = $12, problem = $13, lease_until = 0, \
             generation = generation + 1 \
             WHERE workspace_id = $1 AND rule_id = $2 AND generation = $3 AND started_at = $14",
            args![
                shadow.workspace, shadow.rule, shadow.generation, &progress.after_event, progress.seen_until,
                counts.same, counts.only_live, counts.only_candidate, counts.differs, counts.unknown,
                progress.same_at, progress.differed_at, shadow.problem.clone(), shadow.started_at
            ],
        )
        .await?;
    Ok(moved == 1)
}

/// Stores differences; of all of the shadow the latest are kept.
pub async fn add_differences(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    found: &[ShadowDifference],
) -> Result<()> {
    let Some(latest) = found.last() else {
        return Ok(());
    };
    for one in found {
        tx.run(
            "INSERT INTO shadow_differences (workspace_id, rule_id, seq, at, doc) VALUES ($1, $2, $3, $4, $5)",
            args![workspace, rule, one.seq, one.at, to_json(one)?],
        )
        .await?;
    }
    tx.run(
        "DELETE FROM shadow_differences WHERE workspace_id = $1 AND rule_id = $2 AND seq <= $3",
        args![workspace, rule, latest.seq - DIFFERENCES_KEPT],
    )
    .await?;
    Ok(())
}

/// Differences of a shadow before one, the newest first.
pub async fn list_differences(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    before: i64,
    limit: i64,
) -> Result<Vec<ShadowDifference>> {
    sql.all(
        "SELECT doc FROM shadow_differences WHERE workspace_id = $1 AND rule_id = $2 AND seq < $3 \
         ORDER BY seq DESC LIMIT $4",
        args![workspace, rule, before, limit],
    )
    .await?
    .iter()
    .map(|row| row.json(0))
    .collect()
}
