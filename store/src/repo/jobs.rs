//! Jobs: queue work under leases with a fencing epoch.
//!
//! Invariant: whoever settles a job names the epoch of its claim; a worker that
//! lost its lease changes nothing.
//!
//! Statements that name ids hide the state behind `|| ''`: by its statistics PostgreSQL takes the index of claimed jobs
//! for shorter than the way by ids, whenever none was claimed as they were taken.

use std::collections::{BTreeMap, HashSet};

use so_model::{
    id::{JobId, WorkspaceId},
    time::Timestamp,
};

use crate::{Backend, Result, Row, Sql, StoreError, Tx, args, bulk::Shape, dialect, value::Args};

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Own id.
    pub id: JobId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Stable name of the work: `run`, `publication`.
    pub kind: String,
    /// The row it is about.
    pub subject: String,
    /// Fencing number of this claim.
    pub epoch: i64,
    /// Claims so far.
    pub tries: i64,
}

fn read(row: &Row) -> Result<Job> {
    Ok(Job {
        id: row.id(0)?,
        workspace: row.id(1)?,
        kind: row.text(2)?,
        subject: row.text(3)?,
        epoch: row.int(4)?,
        tries: row.int(5)?,
    })
}

const INSERT_CLAIMED: Shape = Shape {
    before: "INSERT INTO jobs (id, workspace_id, kind, ref, state, run_after, lease_owner, lease_until, epoch, tries) VALUES ",
    columns: 10,
    after: "",
    fixed: 0,
};

/// Stores jobs that are claimed from birth by `owner`.
pub async fn insert_claimed(
    tx: &mut Tx,
    jobs: &[Job],
    owner: &str,
    now: Timestamp,
    lease_until: Timestamp,
) -> Result<()> {
    let row = |job: &Job| {
        args![
            job.id,
            job.workspace,
            &job.kind,
            &job.subject,
            "running",
            now,
            owner,
            lease_until,
            job.epoch,
            1
        ]
    };
    let rows = jobs.iter().map(row).collect();
    INSERT_CLAIMED.run(tx, &Args::new(), rows).await?;
    Ok(())
}

/// A job that is yet to be stored.
#[derive(Debug)]
pub struct NewJob {
    /// Own id.
    pub id: JobId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Stable name of the work.
    pub kind: &'static str,
    /// The row it is about.
    pub subject: String,
}

impl NewJob {
    fn available(self, run_after: Timestamp) -> Args {
        args![
            self.id,
            self.workspace,
            self.kind,
            self.subject,
            "available",
            run_after,
            0,
            0
        ]
    }
}

const INSERT_DUE: Shape = Shape {
    before: "INSERT INTO jobs (id, workspace_id, kind, ref, state, run_after, epoch, tries) VALUES ",
    columns: 8,
    after: "",
    fixed: 0,
};

/// Stores jobs that are due at `now`, that nobody has claimed, and whose rows have none yet.
pub async fn insert_due(tx: &mut Tx, jobs: Vec<NewJob>, now: Timestamp) -> Result<()> {
    let rows = jobs.into_iter().map(|job| job.available(now)).collect();
    INSERT_DUE.run(tx, &Args::new(), rows).await?;
    Ok(())
}

const WAKE: Shape = Shape {
    before: INSERT_DUE.before,
    columns: INSERT_DUE.columns,
    after: " ON CONFLICT (kind, ref) DO UPDATE SET \
         run_after = CASE WHEN jobs.state IN ('available', 'rerun') AND jobs.run_after < excluded.run_after THEN jobs.run_after \
         ELSE excluded.run_after END, \
         state = CASE WHEN jobs.state = 'running' THEN 'rerun' WHEN jobs.state = 'rerun' THEN 'rerun' ELSE 'available' END, \
         problem = NULL",
    fixed: 0,
};

/// Makes sure that work on a row is done at or after a moment.
///
/// An existing job is brought forward, never put off; a running one is left
/// alone except that it will run once more.
pub async fn wake(
    tx: &mut Tx,
    id: JobId,
    workspace: WorkspaceId,
    kind: &'static str,
    subject: &str,
    run_after: Timestamp,
) -> Result<()> {
    let job = NewJob {
        id,
        workspace,
        kind,
        subject: subject.to_owned(),
    };
    wake_many(tx, vec![job], run_after).await
}

/// The same of several rows, each named once.
pub async fn wake_many(tx: &mut Tx, jobs: Vec<NewJob>, run_after: Timestamp) -> Result<()> {
    let rows = jobs.into_iter().map(|job| job.available(run_after));
    WAKE.run(tx, &Args::new(), rows.collect()).await?;
    Ok(())
}

/// Claims due jobs of a kind, oldest first.
pub async fn claim(
    tx: &mut Tx,
    kind: &str,
    now: Timestamp,
    owner: &str,
    lease_until: Timestamp,
    limit: i64,
) -> Result<Vec<Job>> {
    let sql = dialect::claim_jobs(tx.backend());
    let rows = tx.all(sql, args![kind, now, owner, lease_until, limit]);
    oldest_first(rows.await?)
}

// Neither database promises an order of what a statement returns.
fn oldest_first(rows: Vec<Row>) -> Result<Vec<Job>> {
    let mut jobs = rows
        .iter()
        .map(|row| Ok((row.at(6)?, read(row)?)))
        .collect::<Result<Vec<_>>>()?;
    jobs.sort_by_key(|(run_after, job)| (*run_after, job.id));
    Ok(jobs.into_iter().map(|(_, job)| job).collect())
}

/// Claims due jobs of a kind and workspace, oldest first.
pub async fn claim_of(
    tx: &mut Tx,
    kind: &str,
    workspace: WorkspaceId,
    now: Timestamp,
    owner: &str,
    lease_until: Timestamp,
    limit: i64,
) -> Result<Vec<Job>> {
    let sql = dialect::claim_jobs_of(tx.backend());
    let rows = tx.all(sql, args![kind, now, owner, lease_until, limit, workspace]);
    oldest_first(rows.await?)
}

/// How many jobs of a kind are due, counted up to a limit.
pub async fn count_due(sql: &mut dyn Sql, kind: &str, now: Timestamp, limit: i64) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM (SELECT 1 AS one FROM jobs WHERE state = 'available' AND kind = $1 AND run_after <= $2 \
             LIMIT $3) AS due",
            args![kind, now, limit],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Workspaces after `after` that have due jobs of a kind, in the order of their ids.
///
/// Goes from workspace to workspace by the index, so that a long queue of one costs the others nothing.
pub async fn workspaces_due(
    sql: &mut dyn Sql,
    kind: &str,
    after: &str,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<WorkspaceId>> {
    sql.all(
        "WITH RECURSIVE found (id, n) AS ( \
         SELECT (SELECT MIN(workspace_id) FROM jobs WHERE state = 'available' AND kind = $1 AND workspace_id > $2), 1 \
         UNION ALL \
         SELECT (SELECT MIN(workspace_id) FROM jobs WHERE state = 'available' AND kind = $1 AND workspace_id > found.id), \
         found.n + 1 FROM found WHERE found.id IS NOT NULL AND found.n < $4) \
         SELECT found.id FROM found WHERE found.id IS NOT NULL AND EXISTS (SELECT 1 FROM jobs \
         WHERE state = 'available' AND kind = $1 AND workspace_id = found.id AND run_after <= $3)",
        args![kind, after, now, limit],
    )
    .await?
    .iter()
    .map(|row| row.id(0))
    .collect()
}

/// The job's claim still holds; called first in every transaction that settles.
///
/// Fails as stale when the lease was lost.
pub async fn fence(tx: &mut Tx, job: &Job) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE jobs SET tries = tries WHERE id = $1 AND epoch = $2 AND state || '' IN ('running', 'rerun')",
            args![job.id, job.epoch],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            what: "job's lease",
        })
    }
}

const HELD: Shape = Shape {
    before: "SELECT id FROM jobs WHERE epoch = $1 AND state || '' IN ('running', 'rerun') AND id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};
/// On PostgreSQL, where others may write at the same time; in one order, so that they do not wait for each other.
const HELD_AND_LOCKED: Shape = Shape {
    after: ") ORDER BY id FOR UPDATE",
    ..HELD
};

/// Of these jobs those whose claims still hold, and keeps them so until the transaction ends.
pub async fn fence_many(tx: &mut Tx, jobs: &[&Job]) -> Result<HashSet<JobId>> {
    let shape = match tx.backend() {
        Backend::Sqlite => HELD,
        Backend::Postgres => HELD_AND_LOCKED,
    };
    let mut held = HashSet::new();
    for (epoch, rows) in by_epoch(jobs.iter().copied()) {
        for row in shape.all(tx, &args![epoch], rows).await? {
            held.insert(row.id(0)?);
        }
    }
    Ok(held)
}

/// Ends a job; if it was woken meanwhile it becomes available again.
pub async fn finish(tx: &mut Tx, job: &Job) -> Result<()> {
    let deleted = tx
        .run(
            "DELETE FROM jobs WHERE id = $1 AND epoch = $2 AND state || '' = 'running'",
            args![job.id, job.epoch],
        )
        .await?;
    if deleted == 1 {
        return Ok(());
    }
    let woken = tx
        .run(
            "UPDATE jobs SET state = 'available', lease_owner = NULL, lease_until = NULL, tries = 0 \
             WHERE id = $1 AND epoch = $2 AND state || '' = 'rerun'",
            args![job.id, job.epoch],
        )
        .await?;
    if woken == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            what: "job's lease",
        })
    }
}

const FINISH: Shape = Shape {
    before: "DELETE FROM jobs WHERE epoch = $1 AND state || '' = 'running' AND id IN (",
    columns: 1,
    after: ") RETURNING id",
    fixed: 1,
};

/// Ends jobs whose claims hold and that nobody woke meanwhile; answers which these were.
///
/// Fences as well: what is not answered was lost or woken, and must be settled by itself.
pub async fn finish_many(tx: &mut Tx, jobs: &[&Job]) -> Result<HashSet<JobId>> {
    let mut finished = HashSet::new();
    for (epoch, rows) in by_epoch(jobs.iter().copied()) {
        for row in FINISH.all(tx, &args![epoch], rows).await? {
            finished.insert(row.id(0)?);
        }
    }
    Ok(finished)
}

/// Puts a job back that got on: it is done at or after a moment (at once if it was woken meanwhile).
pub async fn put_off(
    tx: &mut Tx,
    job: &Job,
    run_after: Timestamp,
    problem: Option<&str>,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE jobs SET run_after = CASE WHEN state = 'rerun' AND run_after < $3 THEN run_after ELSE $3 END, \
             state = 'available', lease_owner = NULL, lease_until = NULL, tries = 0, problem = $4 \
             WHERE id = $1 AND epoch = $2 AND state || '' IN ('running', 'rerun')",
            args![job.id, job.epoch, run_after, problem],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            what: "job's lease",
        })
    }
}

/// Puts a job back that failed through no fault of its step; its tries go on counting.
pub async fn put_back(tx: &mut Tx, job: &Job, run_after: Timestamp, problem: &str) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE jobs SET run_after = CASE WHEN state = 'rerun' AND run_after < $3 THEN run_after ELSE $3 END, \
             state = 'available', lease_owner = NULL, lease_until = NULL, problem = $4 \
             WHERE id = $1 AND epoch = $2 AND state || '' IN ('running', 'rerun')",
            args![job.id, job.epoch, run_after, problem],
        )
        .await?;
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::Stale {
            what: "job's lease",
        })
    }
}

/// Frees jobs whose worker was lost: the lease ended before `now`.
///
/// The lost work is due at once, also when the job was woken for a later moment.
pub async fn rescue(tx: &mut Tx, now: Timestamp) -> Result<u64> {
    tx.run(
        "UPDATE jobs SET state = 'available', lease_owner = NULL, lease_until = NULL, \
         run_after = CASE WHEN run_after > $1 THEN $1 ELSE run_after END \
         WHERE state IN ('running', 'rerun') AND lease_until < $1",
        args![now],
    )
    .await
}

/// Frees every leased job: called at start by the only process of a SQLite file.
pub async fn rescue_all(tx: &mut Tx) -> Result<u64> {
    tx.run(
        "UPDATE jobs SET run_after = CASE WHEN state = 'rerun' THEN 0 ELSE run_after END, \
         state = 'available', lease_owner = NULL, lease_until = NULL WHERE state IN ('running', 'rerun')",
        args![],
    )
    .await
}

/// Claims in the name of `owner`, whoever works on them.
pub async fn list_owned(sql: &mut dyn Sql, owner: &str, limit: i64) -> Result<Vec<Job>> {
    sql.all(
        "SELECT id, workspace_id, kind, ref, epoch, tries FROM jobs \
         WHERE state IN ('running', 'rerun') AND lease_owner = $1 ORDER BY id LIMIT $2",
        args![owner, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// When the next job of a kind is due, if there is one.
pub async fn next_due(sql: &mut dyn Sql, kind: &str) -> Result<Option<Timestamp>> {
    let row = sql
        .one(
            "SELECT MIN(run_after) FROM jobs WHERE state = 'available' AND kind = $1",
            args![kind],
        )
        .await?;
    row.map_or(Ok(None), |row| row.opt_at(0))
}

/// Kinds of due jobs that are none of the two given ones and at which that is not written yet.
pub async fn list_other_kinds(
    sql: &mut dyn Sql,
    known: [&str; 2],
    problem: &str,
    now: Timestamp,
) -> Result<Vec<String>> {
    sql.all(
        "SELECT DISTINCT kind FROM jobs WHERE state = 'available' AND run_after <= $1 AND kind <> $2 AND kind <> $3 \
         AND (problem IS NULL OR problem <> $4) ORDER BY kind LIMIT 10",
        args![now, known[0], known[1], problem],
    )
    .await?
    .iter()
    .map(|row| row.text(0))
    .collect()
}

/// Writes at some due jobs of a kind why nobody does them, without claiming them; answers at how many that is new.
pub async fn note(
    tx: &mut Tx,
    kind: &str,
    problem: &str,
    now: Timestamp,
    limit: i64,
) -> Result<u64> {
    tx.run(
        "UPDATE jobs SET problem = $1 WHERE id IN (SELECT id FROM jobs WHERE kind = $2 AND state = 'available' \
         AND run_after <= $3 AND (problem IS NULL OR problem <> $1) ORDER BY run_after, id LIMIT $4)",
        args![problem, kind, now, limit],
    )
    .await
}

/// Jobs by state, for metrics.
pub async fn count_by_state(sql: &mut dyn Sql) -> Result<Vec<(String, i64)>> {
    sql.all(
        "SELECT state, COUNT(*) FROM jobs GROUP BY state ORDER BY state",
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((row.text(0)?, row.int(1)?)))
    .collect()
}

/// Prolongs the lease of one claim that is being worked on.
pub async fn extend(tx: &mut Tx, job: &Job, lease_until: Timestamp) -> Result<u64> {
    tx.run(
        "UPDATE jobs SET lease_until = $3 WHERE id = $1 AND epoch = $2 AND state || '' IN ('running', 'rerun')",
        args![job.id, job.epoch, lease_until],
    )
    .await
}

const EXTEND: Shape = Shape {
    before: "UPDATE jobs SET lease_until = $1 WHERE epoch = $2 AND state || '' IN ('running', 'rerun') AND id IN (",
    columns: 1,
    after: ")",
    fixed: 2,
};

/// On PostgreSQL those that nobody else holds in a transaction.
const EXTEND_FREE: Shape = Shape {
    before: "UPDATE jobs SET lease_until = $1 WHERE id IN (SELECT id FROM jobs WHERE epoch = $2 \
             AND state || '' IN ('running', 'rerun') AND id IN (",
    columns: 1,
    after: ") ORDER BY id FOR UPDATE SKIP LOCKED)",
    fixed: 2,
};

/// Prolongs the leases of claims that are being worked on, except those that another transaction is about to settle:
/// waiting for it, with the rows of everybody else locked, would hold all of them up.
pub async fn extend_many(tx: &mut Tx, jobs: &[Job], lease_until: Timestamp) -> Result<u64> {
    let shape = match tx.backend() {
        Backend::Sqlite => EXTEND,
        Backend::Postgres => EXTEND_FREE,
    };
    let mut prolonged = 0;
    for (epoch, rows) in by_epoch(jobs.iter()) {
        prolonged += shape.run(tx, &args![lease_until, epoch], rows).await?;
    }
    Ok(prolonged)
}

fn by_epoch<'j>(jobs: impl Iterator<Item = &'j Job>) -> BTreeMap<i64, Vec<Args>> {
    let mut groups: BTreeMap<i64, Vec<Args>> = BTreeMap::new();
    for job in jobs {
        groups.entry(job.epoch).or_default().push(args![job.id]);
    }
    groups
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Store, StoreOptions, bulk::assert_postgres_goes_by_ids};

    /// Whenever nobody works as statistics are taken, an index of jobs under work looks like the shortest way; it is the
    /// longest under load, by everything that was under work since it was cleaned.
    #[tokio::test(flavor = "multi_thread")]
    async fn postgres_finds_claimed_jobs_by_ids_though_none_was_claimed_when_it_counted() {
        let cluster = tokio::task::block_in_place(|| {
            let test = "postgres_finds_claimed_jobs_by_ids_though_none_was_claimed_when_it_counted";
            so_testkit::counterpart::or_skip(test, so_testkit::postgres::PostgresCluster::shared())
        });
        let Some(cluster) = cluster else { return };
        let url = tokio::task::block_in_place(|| cluster.create_fresh_database().unwrap());
        let mut store = Store::open(&StoreOptions::at(url)).await.unwrap();
        let workspace = WorkspaceId::derived(&["one"]);
        let mut tx = store.begin().await.unwrap();
        tx.run(
            "INSERT INTO jobs (id, workspace_id, kind, ref, state, run_after, epoch, tries) SELECT \
             'job_' || LPAD(n::text, 32, '0'), $1, 'run', n::text, 'available', 0, 1, 0 FROM generate_series(0, 5000) AS n",
            args![workspace],
        )
        .await
        .unwrap();
        tx.run("ANALYZE jobs", args![]).await.unwrap();
        tx.commit().await.unwrap();
        for shape in [FINISH, HELD, EXTEND, EXTEND_FREE] {
            assert_postgres_goes_by_ids(&mut store, shape).await;
        }
        store.close().await.unwrap();
    }
}
