//! Versions of rules that decide events about some accounts, beside the live ones.
//!
//! Invariant: a rule has one canary at most; it decides only as long as the version that it was made from is live, so
//! whatever makes another version live ends it by itself.

use so_model::{
    id::{AccountId, RuleId, RunId, UserId, WorkspaceId},
    rule::RuleDocument,
    time::Timestamp,
};

use super::{filter::Filter, listed};
use crate::{Backend, Result, Row, Sql, StoreError, Tx, args, value::to_json};

/// A canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCanary {
    /// The rule.
    pub rule: RuleId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Its own version.
    pub version: i64,
    /// The live version that it was made from.
    pub base_version: i64,
    /// The accounts whose events it decides.
    pub accounts: Vec<AccountId>,
    /// The state of the script library that it calls.
    pub library_revision: i64,
    /// Failed runs after which it is withdrawn.
    pub failures_max: Option<i64>,
    /// Who began it.
    pub author: UserId,
    /// Why, as far as that was said.
    pub reason: String,
    /// Why it decides nothing any more.
    pub problem: Option<String>,
    /// When it began; it is known by that, as another may take its place.
    pub started_at: Timestamp,
}

impl RuleCanary {
    /// Whether it decides events of its accounts while the rule is on, beside that live version.
    pub fn is_deciding(&self, live: i64) -> bool {
        self.problem.is_none() && self.base_version == live
    }
}

fn read(row: &Row) -> Result<RuleCanary> {
    Ok(RuleCanary {
        rule: row.id(0)?,
        workspace: row.id(1)?,
        version: row.int(2)?,
        base_version: row.int(3)?,
        accounts: row.json(4)?,
        library_revision: row.int(5)?,
        failures_max: row.opt_int(6)?,
        author: row.id(7)?,
        reason: row.text(8)?,
        problem: row.opt_text(9)?,
        started_at: row.at(10)?,
    })
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT c.rule_id, c.workspace_id, c.version, c.base_version, c.accounts, c.library_revision, \
             c.failures_max, c.author, c.reason, c.problem, c.started_at ",
            $rest
        )
    };
}

/// Begins a canary; stale if the rule has one.
pub async fn insert(tx: &mut Tx, canary: &RuleCanary) -> Result<()> {
    let made = tx
        .run(
            "INSERT INTO rule_canaries (workspace_id, rule_id, version, base_version, accounts, library_revision, \
             failures_max, author, reason, problem, started_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, NULL, $10) \
             ON CONFLICT (rule_id) DO NOTHING",
            args![
                canary.workspace, canary.rule, canary.version, canary.base_version, to_json(&canary.accounts)?,
                canary.library_revision, canary.failures_max, canary.author, &canary.reason, canary.started_at
            ],
        )
        .await?;
    match made {
        1 => Ok(()),
        _ => Err(StoreError::Stale {
            what: "rule canary",
        }),
    }
}

/// The canary of a rule.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
) -> Result<Option<RuleCanary>> {
    let row = sql
        .one(
            select!("FROM rule_canaries AS c WHERE c.workspace_id = $1 AND c.rule_id = $2"),
            args![workspace, rule],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Ends the canary that began at a moment, none takes any.
pub async fn delete(
    tx: &mut Tx,
    workspace: WorkspaceId,
    rule: RuleId,
    started_at: Option<Timestamp>,
) -> Result<bool> {
    let gone = tx
        .run(
            "DELETE FROM rule_canaries WHERE workspace_id = $1 AND rule_id = $2 AND started_at = COALESCE($3, started_at)",
            args![workspace, rule, started_at],
        )
        .await?;
    Ok(gone == 1)
}

/// Notes why a canary decides nothing any more; false if it ended, or has a reason already.
pub async fn withdraw(tx: &mut Tx, canary: &RuleCanary, problem: &str) -> Result<bool> {
    let noted = tx
        .run(
            "UPDATE rule_canaries SET problem = $4 WHERE workspace_id = $1 AND rule_id = $2 AND started_at = $3 \
             AND problem IS NULL",
            args![canary.workspace, canary.rule, canary.started_at, problem],
        )
        .await?;
    Ok(noted == 1)
}

/// Every canary of every workspace that decides events now, with its document.
pub async fn list_deciding(sql: &mut dyn Sql) -> Result<Vec<(RuleCanary, RuleDocument)>> {
    sql.all(
        select!(
            ", v.doc FROM rule_canaries AS c JOIN rules AS r ON r.id = c.rule_id AND r.version = c.base_version \
             JOIN rule_versions AS v ON v.rule_id = c.rule_id AND v.version = c.version \
             WHERE c.problem IS NULL AND r.is_enabled = 1 AND r.deleted_at IS NULL ORDER BY c.rule_id"
        ),
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((read(row)?, row.json(11)?)))
    .collect()
}

/// Canaries of all workspaces that decide and of which as many runs failed as was asked, each with how many.
pub async fn list_failing(sql: &mut dyn Sql) -> Result<Vec<(RuleCanary, i64)>> {
    sql.all(
        select!(
            ", failed.runs FROM rule_canaries AS c JOIN rules AS r ON r.id = c.rule_id AND r.version = c.base_version \
             JOIN (SELECT runs.rule_id, runs.version, COUNT(*) AS runs FROM runs JOIN rule_canaries AS tried \
             ON tried.rule_id = runs.rule_id AND tried.version = runs.version AND tried.failures_max IS NOT NULL \
             WHERE runs.workspace_id = tried.workspace_id AND runs.state IN ('failed', 'cancelled') \
             AND runs.state = 'failed' GROUP BY runs.rule_id, runs.version) \
             AS failed ON failed.rule_id = c.rule_id AND failed.version = c.version \
             WHERE c.problem IS NULL AND failed.runs >= c.failures_max ORDER BY c.rule_id"
        ),
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((read(row)?, row.int(11)?)))
    .collect()
}

/// Runs of one version of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VersionRuns {
    /// The version.
    pub version: i64,
    /// Runs that were made.
    pub started: i64,
    /// Of those, failed.
    pub failed: i64,
}

/// Runs of a rule since a moment by their version, those that were let go among them.
pub async fn count_runs(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    since: Timestamp,
) -> Result<Vec<VersionRuns>> {
    let after = RunId::last_before(since);
    let query = Filter::new(
        "SELECT version, CAST(SUM(made) AS BIGINT), CAST(SUM(failed) AS BIGINT) FROM (\
         SELECT version, COUNT(*) AS made, SUM(CASE WHEN state = 'failed' THEN 1 ELSE 0 END) AS failed FROM ",
    );
    let query = match sql.backend() {
        Backend::Sqlite => listed::runs_of(query, workspace, rule, &after.to_string()),
        Backend::Postgres => query
            .with("runs WHERE runs.workspace_id = ?", workspace)
            .with(" AND runs.rule_id = ?", rule)
            .with(" AND runs.id > ?", after),
    };
    query
        .with(" AND runs.created_at >= ?", since)
        .then(
            " GROUP BY version UNION ALL SELECT run_ways.version, COUNT(*), 0 FROM run_ways CROSS JOIN runs_let_go \
             WHERE runs_let_go.way = run_ways.way",
        )
        .with(" AND run_ways.workspace_id = ?", workspace)
        .with(" AND run_ways.rule_id = ?", rule)
        .with(" AND runs_let_go.at >= ?", since)
        .then(" GROUP BY run_ways.version) AS counted GROUP BY version ORDER BY version")
    .rows(sql)
    .await?
    .iter()
    .map(|row| {
        Ok(VersionRuns {
            version: row.int(0)?,
            started: row.int(1)?,
            failed: row.int(2)?,
        })
    })
    .collect()
}
