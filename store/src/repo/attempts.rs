//! Attempts: intents that are committed before a call with a public effect.
//!
//! Invariant: a publication has at most one attempt whose outcome is open.

use serde_json::Value;
use so_model::{
    id::{AttemptId, PostId, PublicationId, WorkspaceId},
    publication::{Attempt, AttemptPhase},
};

use super::parsed;
use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, value::to_json};

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT attempts.id, attempts.workspace_id, attempts.publication_id, attempts.n, attempts.epoch, \
             attempts.idem_key, attempts.fingerprint, attempts.intent_at, attempts.deadline_at, attempts.phase, \
             attempts.evidence FROM attempts ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Attempt> {
    Ok(Attempt {
        id: row.id(0)?,
        workspace: row.id(1)?,
        publication: row.id(2)?,
        n: row.int(3)?,
        epoch: row.int(4)?,
        key: row.text(5)?,
        fingerprint: row.json(6)?,
        intent_at: row.at(7)?,
        deadline_at: row.at(8)?,
        phase: parsed("attempt phase", row.text(9)?, AttemptPhase::parse)?,
        evidence: row.json(10)?,
    })
}

const INSERT_OPEN: Shape = Shape {
    before: "INSERT INTO attempts (id, workspace_id, publication_id, n, epoch, idem_key, fingerprint, intent_at, \
             deadline_at, phase, evidence) VALUES ",
    columns: 11,
    after: "",
    fixed: 0,
};

/// Stores intents; a conflict when another one of a publication is open.
pub async fn insert_open(tx: &mut Tx, attempts: &[&Attempt]) -> Result<()> {
    let mut rows = Vec::with_capacity(attempts.len());
    for attempt in attempts {
        rows.push(args![
            attempt.id,
            attempt.workspace,
            attempt.publication,
            attempt.n,
            attempt.epoch,
            &attempt.key,
            to_json(&attempt.fingerprint)?,
            attempt.intent_at,
            attempt.deadline_at,
            AttemptPhase::Open.as_str(),
            to_json(&attempt.evidence)?
        ]);
    }
    INSERT_OPEN.run(tx, &args![], rows).await?;
    Ok(())
}

/// The attempt of a publication whose outcome is open.
pub async fn find_open(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    publication: PublicationId,
) -> Result<Option<Attempt>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND publication_id = $2 AND phase = 'open'"),
            args![workspace, publication],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy)]
pub struct Closed<'a> {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The attempt.
    pub id: AttemptId,
    /// How it ended.
    pub phase: AttemptPhase,
    /// What was seen of it.
    pub evidence: &'a Value,
}

const CLOSE: Shape = Shape {
    before: "WITH ends (workspace_id, id, phase, evidence) AS (VALUES ",
    columns: 4,
    after: ") UPDATE attempts SET phase = ends.phase, evidence = ends.evidence FROM ends \
            WHERE attempts.id = ends.id AND attempts.workspace_id = ends.workspace_id AND attempts.phase || '' = 'open'",
    fixed: 0,
};

/// Notes what became of open attempts; stale when that is known already of one of them.
pub async fn close(tx: &mut Tx, closed: &[Closed<'_>]) -> Result<()> {
    let mut rows = Vec::with_capacity(closed.len());
    for one in closed {
        rows.push(args![
            one.workspace,
            one.id,
            one.phase.as_str(),
            to_json(one.evidence)?
        ]);
    }
    let count = rows.len() as u64;
    match CLOSE.run(tx, &args![], rows).await? == count {
        true => Ok(()),
        false => Err(StoreError::Stale { what: "attempt" }),
    }
}

/// Attempts of a publication in order.
pub async fn list_for_publication(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    publication: PublicationId,
) -> Result<Vec<Attempt>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND publication_id = $2 ORDER BY n"),
        args![workspace, publication],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Attempts at every publication of a post, by publication and order.
pub async fn list_for_post(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    post: PostId,
) -> Result<Vec<Attempt>> {
    sql.all(
        select!(
            "JOIN publications ON publications.id = attempts.publication_id \
             WHERE attempts.workspace_id = $1 AND publications.workspace_id = $1 AND publications.post_id = $2 \
             ORDER BY attempts.publication_id, attempts.n"
        ),
        args![workspace, post],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::assert_goes_by_ids;

    #[tokio::test]
    async fn sqlite_looks_attempts_of_a_batch_up_by_their_ids() {
        for shape in [CLOSE] {
            assert_goes_by_ids(shape).await;
        }
    }
}
