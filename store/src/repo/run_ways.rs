//! Ordinary runs that are let go before the others: the walk over finished runs, their ways, and what is left.
//!
//! Invariant: a run is counted in the transaction that moves the mark past it, and whoever holds the mark's lock
//! walks alone; so nothing is counted twice.

use std::collections::HashSet;

use so_model::{
    id::{EventId, PostId, RuleId, RunId, WorkspaceId},
    time::Timestamp,
    way::{StartLetGo, WayStep, way_name},
};

use super::runs;
use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, dialect, value::to_json};

/// How far the walk came: the last run that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// When it finished.
    pub finished_at: Timestamp,
    /// Its id; empty before all of that moment.
    pub run: String,
}

/// A finished run that the walk comes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The run.
    pub run: RunId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: i64,
    /// Id of the trigger.
    pub trigger: String,
    /// The event, with its identity, subject and root if it is still there.
    pub event: EventId,
    /// What is known of the event.
    pub cause: Option<FinishedCause>,
    /// When the run was made.
    pub created_at: Timestamp,
    /// When it finished.
    pub finished_at: Timestamp,
}

/// What the walk has to know of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedCause {
    /// The first event of its chain.
    pub root: EventId,
    /// What it is about.
    pub subject: Option<String>,
    /// Identity within its source.
    pub dedupe: String,
}

/// A way with what is counted of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WayRow {
    /// Its number.
    pub way: i64,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The rule.
    pub rule: RuleId,
    /// Its version.
    pub version: i64,
    /// Id of the trigger.
    pub trigger: String,
    /// Its steps; none for what is counted together.
    pub steps: Option<Vec<WayStep>>,
    /// Runs that went it.
    pub seen: i64,
    /// Those that are gone.
    pub let_go: i64,
    /// The week of the run that was looked at last.
    pub week: i64,
    /// Runs that are kept as examples of that week.
    pub kept_in_week: i64,
    /// The latest of the kept ones, the newest last.
    pub kept: Vec<RunId>,
    /// When the first run was made.
    pub first_at: Timestamp,
    /// When the last run was made.
    pub last_at: Timestamp,
    /// When the last run was made that is gone.
    pub let_go_at: Option<Timestamp>,
}

/// The mark, locked against other processes; none while one of them walks.
pub async fn claim_mark(tx: &mut Tx) -> Result<Option<Mark>> {
    let sql = dialect::claim_thinned(tx.backend());
    let row = tx.one(sql, args![]).await?;
    row.map(|row| {
        Ok(Mark {
            finished_at: row.at(0)?,
            run: row.text(1)?,
        })
    })
    .transpose()
}

/// Moves the mark.
pub async fn move_mark(tx: &mut Tx, mark: &Mark) -> Result<()> {
    tx.run(
        "UPDATE thinned SET finished_at = $1, run_id = $2 WHERE one = 1",
        args![mark.finished_at, &mark.run],
    )
    .await?;
    Ok(())
}

/// Runs that finished before this were looked at.
pub async fn thinned_until(sql: &mut dyn Sql) -> Result<Timestamp> {
    let row = sql
        .one("SELECT finished_at FROM thinned WHERE one = 1", args![])
        .await?;
    row.map_or(Ok(Timestamp::default()), |row| row.at(0))
}

/// Runs that came to their end between the mark and a moment, the earliest first.
///
/// Goes by the moment of the end alone, as its index does.
pub async fn finished_after(
    sql: &mut dyn Sql,
    mark: &Mark,
    before: Timestamp,
    limit: i64,
) -> Result<Vec<Finished>> {
    sql.all(
        "SELECT runs.id, runs.workspace_id, runs.rule_id, runs.version, runs.trigger_id, runs.event_id, runs.created_at, \
         runs.finished_at, events.root_id, events.subject, events.dedupe \
         FROM runs LEFT JOIN events ON events.id = runs.event_id \
         WHERE runs.finished_at >= $1 AND runs.finished_at < $2 AND (runs.finished_at > $1 OR runs.id > $3) \
         AND runs.state = 'finished' ORDER BY runs.finished_at, runs.id LIMIT $4",
        args![mark.finished_at, before, &mark.run, limit],
    )
    .await?
    .iter()
    .map(read_finished)
    .collect()
}

fn read_finished(row: &Row) -> Result<Finished> {
    let cause = match row.opt_id(8)? {
        None => None,
        Some(root) => Some(FinishedCause {
            root,
            subject: row.opt_text(9)?,
            dedupe: row.text(10)?,
        }),
    };
    Ok(Finished {
        run: row.id(0)?,
        workspace: row.id(1)?,
        rule: row.id(2)?,
        version: row.int(3)?,
        trigger: row.text(4)?,
        event: row.id(5)?,
        cause,
        created_at: row.at(6)?,
        finished_at: row.at(7)?,
    })
}

// The end is hidden from the planners: an event is narrower than all runs that are alive.
const ROOT_LIVES: Shape = Shape {
    before: "SELECT event_id FROM runs WHERE finished_at + 0 IS NULL AND event_id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

// In this order: few events follow from one root, and many runs may be alive.
const CHAIN_LIVES: Shape = Shape {
    before: "SELECT events.root_id FROM events CROSS JOIN runs WHERE runs.event_id = events.id \
             AND runs.finished_at IS NULL AND events.root_id <> events.id AND events.root_id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Of the roots of chains, those of which a run is not over.
pub async fn live_roots(sql: &mut dyn Sql, roots: &[EventId]) -> Result<HashSet<EventId>> {
    let mut found = HashSet::new();
    for shape in [ROOT_LIVES, CHAIN_LIVES] {
        let rows = roots.iter().map(|root| args![*root]).collect();
        for row in shape.all(sql, &args![], rows).await? {
            found.insert(row.id(0)?);
        }
    }
    Ok(found)
}

const ASKED: Shape = Shape {
    before: "SELECT run_id FROM publications WHERE run_id IS NOT NULL AND post_id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Runs that asked for publications of posts.
pub async fn publishers(sql: &mut dyn Sql, posts: &[PostId]) -> Result<HashSet<RunId>> {
    let rows = posts.iter().map(|post| args![*post]).collect();
    let rows = ASKED.all(sql, &args![], rows).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

const WAYS: &str = "SELECT way, workspace_id, rule_id, version, trigger_id, steps, seen, let_go, week, kept_in_week, kept, \
                    first_at, last_at, let_go_at FROM run_ways WHERE workspace_id = $1 AND rule_id = $2 \
                    ORDER BY last_at DESC, way LIMIT $3";

const OF_NUMBER: Shape = Shape {
    before: "SELECT way, workspace_id, rule_id, version, trigger_id, steps, seen, let_go, week, kept_in_week, kept, \
             first_at, last_at, let_go_at FROM run_ways WHERE way IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

fn read(row: &Row) -> Result<WayRow> {
    Ok(WayRow {
        way: row.int(0)?,
        workspace: row.id(1)?,
        rule: row.id(2)?,
        version: row.int(3)?,
        trigger: row.text(4)?,
        steps: row.json(5)?,
        seen: row.int(6)?,
        let_go: row.int(7)?,
        week: row.int(8)?,
        kept_in_week: row.int(9)?,
        kept: row.json(10)?,
        first_at: row.at(11)?,
        last_at: row.at(12)?,
        let_go_at: row.opt_at(13)?,
    })
}

/// Ways by their numbers.
pub async fn find_many(sql: &mut dyn Sql, ways: &[i64]) -> Result<Vec<WayRow>> {
    let rows = ways.iter().map(|way| args![*way]).collect();
    let rows = OF_NUMBER.all(sql, &args![], rows).await?;
    rows.iter().map(read).collect()
}

/// Ways of a rule, the one that was gone last first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<WayRow>> {
    let rows = sql.all(WAYS, args![workspace, rule, limit]).await?;
    rows.iter().map(read).collect()
}

/// How many ways a version of a rule has.
pub async fn count(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    version: i64,
) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM run_ways WHERE workspace_id = $1 AND rule_id = $2 AND version = $3",
            args![workspace, rule, version],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

const PUT: Shape = Shape {
    before: "INSERT INTO run_ways (way, workspace_id, rule_id, version, trigger_id, steps, seen, let_go, week, kept_in_week, \
             kept, first_at, last_at, let_go_at) VALUES ",
    columns: 14,
    after: " ON CONFLICT (way) DO UPDATE SET seen = excluded.seen, let_go = excluded.let_go, week = excluded.week, \
            kept_in_week = excluded.kept_in_week, kept = excluded.kept, first_at = excluded.first_at, \
            last_at = excluded.last_at, let_go_at = excluded.let_go_at",
    fixed: 0,
};

/// Stores ways with their counts; the caller holds the mark.
pub async fn put_many(tx: &mut Tx, ways: &[WayRow]) -> Result<()> {
    let mut rows = Vec::with_capacity(ways.len());
    for way in ways {
        rows.push(args![
            way.way,
            way.workspace,
            way.rule,
            way.version,
            &way.trigger,
            to_json(&way.steps)?,
            way.seen,
            way.let_go,
            way.week,
            way.kept_in_week,
            to_json(&way.kept)?,
            way.first_at,
            way.last_at,
            way.let_go_at
        ]);
    }
    PUT.run(tx, &args![], rows).await?;
    Ok(())
}

const LET_GO: Shape = Shape {
    before: "INSERT INTO runs_let_go (event_id, way, at) VALUES ",
    columns: 3,
    after: " ON CONFLICT (event_id, way) DO NOTHING",
    fixed: 0,
};

/// Deletes finished runs with their memos, and keeps that there were starts.
///
/// Fails as stale if one of them is not there any more: then nothing may be counted.
pub async fn let_go(tx: &mut Tx, gone: &[(&Finished, i64)]) -> Result<()> {
    // Runs first: as long as their deletion is not committed, nobody else deletes their events.
    let ids: Vec<RunId> = gone.iter().map(|(run, _)| run.run).collect();
    if runs::delete_finished(tx, &ids).await? != ids.len() as u64 {
        return Err(StoreError::Stale { what: "run" });
    }
    let kept = gone.iter().filter(|(run, _)| run.cause.is_some());
    let rows = kept.map(|(run, way)| args![run.event, *way, run.created_at]);
    LET_GO.run(tx, &args![], rows.collect()).await?;
    Ok(())
}

/// Forgets ways that nobody went since a moment.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(
        "DELETE FROM run_ways WHERE way IN (SELECT way FROM run_ways WHERE last_at < $1 ORDER BY last_at LIMIT $2)",
        args![before, limit],
    )
    .await
}

const STARTS: Shape = Shape {
    before: "SELECT runs_let_go.event_id, run_ways.rule_id, run_ways.version, run_ways.trigger_id, runs_let_go.way, \
             runs_let_go.at FROM runs_let_go JOIN run_ways ON run_ways.way = runs_let_go.way \
             WHERE run_ways.workspace_id || '' = $1 AND runs_let_go.event_id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

/// Starts on events whose runs were let go.
///
/// The workspace is hidden from the planners: an event is narrower than it.
pub async fn starts_on(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    events: &[EventId],
) -> Result<Vec<StartLetGo>> {
    let rows = events.iter().map(|event| args![*event]).collect();
    let rows = STARTS.all(sql, &args![workspace], rows).await?;
    rows.iter()
        .map(|row| {
            Ok(StartLetGo {
                event: row.id(0)?,
                rule: row.id(1)?,
                version: row.int(2)?,
                trigger: row.text(3)?,
                way: way_name(row.int(4)?),
                at: row.at(5)?,
            })
        })
        .collect()
}

/// Runs of a rule made after a moment, those that were let go among them.
pub async fn count_starts_since(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    since: Timestamp,
) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM run_ways CROSS JOIN runs_let_go WHERE runs_let_go.way = run_ways.way \
             AND run_ways.workspace_id = $1 AND run_ways.rule_id = $2 AND runs_let_go.at > $3",
            args![workspace, rule, since],
        )
        .await?;
    let gone = row.map_or(Ok(0), |row| row.int(0))?;
    Ok(gone + runs::count_since(sql, workspace, rule, since).await?)
}

/// When a rule's latest runs were made, newest first, those that were let go among them.
pub async fn latest_starts(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: usize,
) -> Result<Vec<Timestamp>> {
    let most = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut starts = runs::latest_starts(sql, workspace, rule, most).await?;
    // The latest of all lie in as many of these ways.
    let ways = sql
        .all(
            "SELECT way, let_go_at FROM run_ways WHERE workspace_id = $1 AND rule_id = $2 AND let_go_at IS NOT NULL \
             ORDER BY let_go_at DESC LIMIT $3",
            args![workspace, rule, most],
        )
        .await?;
    for way in ways {
        let oldest = starts.get(limit.saturating_sub(1)).copied();
        if oldest.is_some_and(|oldest| way.at(1).is_ok_and(|last| last <= oldest)) {
            break;
        }
        let rows = sql
            .all(
                "SELECT at FROM runs_let_go WHERE way = $1 ORDER BY at DESC LIMIT $2",
                args![way.int(0)?, most],
            )
            .await?;
        for row in rows {
            starts.push(row.at(0)?);
        }
        starts.sort_unstable_by(|one, other| other.cmp(one));
        starts.truncate(limit);
    }
    Ok(starts)
}
