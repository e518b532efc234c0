//! Attempts: intents that are committed before a call with a public effect.
//!
//! Invariant: a publication has at most one attempt whose outcome is open.

use serde_json::Value;
use so_model::{
    id::{AttemptId, PostId, PublicationId, WorkspaceId},
    publication::{Attempt, AttemptPhase},
};

use super::{expect_one, parsed};
use crate::{Result, Row, Sql, Tx, args, value::to_json};

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

/// Stores an intent; a conflict when another one of the publication is open.
pub async fn insert_open(tx: &mut Tx, attempt: &Attempt) -> Result<()> {
    tx.run(
        "INSERT INTO attempts (id, workspace_id, publication_id, n, epoch, idem_key, fingerprint, intent_at, deadline_at, \
         phase, evidence) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'open', $10)",
        args![
            attempt.id, attempt.workspace, attempt.publication, attempt.n, attempt.epoch, &attempt.key,
            to_json(&attempt.fingerprint)?, attempt.intent_at, attempt.deadline_at, to_json(&attempt.evidence)?
        ],
    )
    .await?;
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

/// Notes what became of an open attempt; stale when that is known already.
pub async fn close(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: AttemptId,
    phase: AttemptPhase,
    evidence: &Value,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE attempts SET phase = $3, evidence = $4 WHERE workspace_id = $1 AND id = $2 AND phase = 'open'",
            args![workspace, id, phase.as_str(), to_json(evidence)?],
        )
        .await?;
    expect_one(changed, "attempt")
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
