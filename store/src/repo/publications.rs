//! Publications and their transition log.
//!
//! Invariant: a transition names the state and the epoch it starts from, and is
//! logged in the same transaction.

use std::collections::{BTreeSet, HashSet};

use so_model::{
    content::Content,
    id::{AccountId, PostId, PublicationId, RunId, WorkspaceId},
    publication::{Publication, PublicationState},
    time::Timestamp,
};

use super::{expect_one, parsed};
use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, dialect, value::to_json};

/// A publication with what it publishes and who waits for it.
#[derive(Debug, Clone, PartialEq)]
pub struct PublicationRow {
    /// The publication.
    pub publication: Publication,
    /// The content as it was frozen.
    pub content: Content,
    /// The run that waits for the outcome.
    pub run_id: Option<RunId>,
    /// The step of that run; empty without a run.
    pub step_path: String,
}

/// One transition, as production made it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Transition {
    /// From 1.
    pub seq: i64,
    /// State before.
    pub from: PublicationState,
    /// State after.
    pub to: PublicationState,
    /// The claim under which it was made.
    pub epoch: i64,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub note: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT publications.id, publications.workspace_id, publications.post_id, publications.variant_id, \
             publications.account_id, publications.part, publications.state, publications.revision, publications.epoch, \
             publications.attempts, publications.due_at, publications.remote_id, publications.remote_url, \
             publications.progress, publications.problem, publications.published_at, publications.content, \
             publications.run_id, publications.step_path FROM publications ",
            $rest
        )
    };
}

fn parse_state(text: String) -> Result<PublicationState> {
    parsed("publication state", text, PublicationState::parse)
}

fn read(row: &Row) -> Result<Publication> {
    Ok(Publication {
        id: row.id(0)?,
        workspace: row.id(1)?,
        post: row.id(2)?,
        variant: row.id(3)?,
        account: row.id(4)?,
        part: row.int(5)?,
        state: parse_state(row.text(6)?)?,
        revision: row.int(7)?,
        epoch: row.int(8)?,
        attempts: row.int(9)?,
        due_at: row.at(10)?,
        remote_id: row.opt_text(11)?,
        remote_url: row.opt_text(12)?,
        progress: row.json(13)?,
        problem: row.opt_text(14)?,
        published_at: row.opt_at(15)?,
    })
}

fn read_row(row: &Row) -> Result<PublicationRow> {
    Ok(PublicationRow {
        publication: read(row)?,
        content: row.json(16)?,
        run_id: row.opt_id(17)?,
        step_path: row.text(18)?,
    })
}

/// Stores a publication unless the post's version has one for this part; false then.
pub async fn insert_missing(
    tx: &mut Tx,
    publication: &Publication,
    content: &Content,
    run_id: Option<RunId>,
    step_path: &str,
    now: Timestamp,
) -> Result<bool> {
    let changed = tx
        .run(
            "INSERT INTO publications (id, workspace_id, post_id, variant_id, account_id, part, state, revision, epoch, \
             attempts, due_at, remote_id, remote_url, progress, content, problem, run_id, step_path, published_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20) \
             ON CONFLICT DO NOTHING",
            args![
                publication.id, publication.workspace, publication.post, publication.variant, publication.account,
                publication.part, publication.state.as_str(), publication.revision, publication.epoch,
                publication.attempts, publication.due_at, publication.remote_id.clone(),
                publication.remote_url.clone(), to_json(&publication.progress)?, to_json(content)?,
                publication.problem.clone(), run_id, step_path, publication.published_at, now
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// The publication with an id.
pub async fn find(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: PublicationId,
) -> Result<Option<Publication>> {
    Ok(find_with_content(sql, workspace, id)
        .await?
        .map(|row| row.publication))
}

/// The publication with an id, with its content and run.
pub async fn find_with_content(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: PublicationId,
) -> Result<Option<PublicationRow>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read_row).transpose()
}

/// Publications of a post, by account and part.
pub async fn list_for_post(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    post: PostId,
) -> Result<Vec<PublicationRow>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND post_id = $2 ORDER BY account_id, variant_id, part"),
        args![workspace, post],
    )
    .await?
    .iter()
    .map(read_row)
    .collect()
}

const LISTED: Shape = Shape {
    before: select!("WHERE publications.id IN ("),
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Publications by their ids, in no order, of any workspace: its callers hold the leases of their jobs.
pub async fn list_of(sql: &mut dyn Sql, ids: &[PublicationId]) -> Result<Vec<PublicationRow>> {
    LISTED.read(sql, &args![], ids, read_row).await
}

const OF_POSTS: Shape = Shape {
    before: select!("WHERE publications.post_id IN ("),
    columns: 1,
    after: ") ORDER BY account_id, variant_id, part",
    fixed: 0,
};

/// Publications of several posts; those of one by account and part.
pub async fn list_for_posts(sql: &mut dyn Sql, posts: &[PostId]) -> Result<Vec<PublicationRow>> {
    OF_POSTS.read(sql, &args![], posts, read_row).await
}

/// Claims a publication in one of the states `expected`; answers the new epoch.
///
/// Stale when it is in another state. Whoever held the former epoch changes nothing any more.
pub async fn claim_epoch(
    tx: &mut Tx,
    workspace: WorkspaceId,
    id: PublicationId,
    expected: &[PublicationState],
    now: Timestamp,
) -> Result<i64> {
    let stale = StoreError::Stale {
        what: "publication",
    };
    let sql = dialect::lock_publication(tx.backend());
    let Some(row) = tx.one(sql, args![workspace, id]).await? else {
        return Err(stale);
    };
    if !expected.contains(&parse_state(row.text(0)?)?) {
        return Err(stale);
    }
    let epoch = row.int(1)?;
    let changed = tx
        .run(
            "UPDATE publications SET epoch = $4, updated_at = $5 WHERE workspace_id = $1 AND id = $2 AND epoch = $3",
            args![workspace, id, epoch, epoch + 1, now],
        )
        .await?;
    expect_one(changed, "publication")?;
    Ok(epoch + 1)
}

/// A publication on its way from one state to another.
#[derive(Debug, Clone, Copy)]
pub struct Move<'a> {
    /// Its new values, a grown epoch among them.
    pub publication: &'a Publication,
    /// State before.
    pub from: PublicationState,
    /// Epoch before.
    pub epoch: i64,
    /// Why.
    pub note: &'a str,
}

const MOVE: Shape = Shape {
    before: "WITH moves (id, state, attempts, due_at, remote_id, remote_url, progress, problem, published_at, \
             from_state, from_epoch, epoch, workspace_id) AS (VALUES ",
    columns: 13,
    after: ") UPDATE publications SET state = moves.state, attempts = moves.attempts, due_at = moves.due_at, \
            remote_id = moves.remote_id, remote_url = moves.remote_url, progress = moves.progress, \
            problem = moves.problem, published_at = moves.published_at, updated_at = $1, \
            epoch = CASE WHEN moves.epoch > moves.from_epoch THEN moves.epoch ELSE moves.from_epoch END FROM moves \
            WHERE publications.id = moves.id AND publications.workspace_id = moves.workspace_id \
            AND publications.state || '' = moves.from_state \
            AND publications.epoch = moves.from_epoch RETURNING publications.id",
    fixed: 1,
};

const LOG: Shape = Shape {
    before: "WITH steps (workspace_id, publication_id, from_state, to_state, epoch, at, note) AS (VALUES ",
    columns: 7,
    after: ") INSERT INTO publication_log (workspace_id, publication_id, seq, from_state, to_state, epoch, at, note) \
            SELECT steps.workspace_id, steps.publication_id, (SELECT COALESCE(MAX(logged.seq), 0) + 1 \
            FROM publication_log AS logged WHERE logged.publication_id = steps.publication_id), \
            steps.from_state, steps.to_state, steps.epoch, steps.at, steps.note FROM steps",
    fixed: 0,
};

/// Moves a publication on to its new values, a grown epoch among them, and logs it.
///
/// An epoch never shrinks, or a publisher that was overtaken could go on.
///
/// Stale when its state is not `from` or its epoch not `epoch`; a conflict when
/// another publication of the account is bound to the same remote id.
pub async fn transition(
    tx: &mut Tx,
    publication: &Publication,
    from: PublicationState,
    epoch: i64,
    note: &str,
    now: Timestamp,
) -> Result<()> {
    let step = Move {
        publication,
        from,
        epoch,
        note,
    };
    let moved = transition_many(tx, &[step], now).await?;
    expect_one(moved.len() as u64, "publication")
}

/// Moves publications on, each once, as `transition` does; answers which were where they were taken to be.
pub async fn transition_many(
    tx: &mut Tx,
    moves: &[Move<'_>],
    now: Timestamp,
) -> Result<HashSet<PublicationId>> {
    let mut rows = Vec::with_capacity(moves.len());
    for one in moves {
        let next = one.publication;
        rows.push(args![
            next.id,
            next.state.as_str(),
            next.attempts,
            next.due_at,
            next.remote_id.clone(),
            next.remote_url.clone(),
            to_json(&next.progress)?,
            next.problem.clone(),
            next.published_at,
            one.from.as_str(),
            one.epoch,
            next.epoch,
            next.workspace
        ]);
    }
    let mut moved = HashSet::with_capacity(moves.len());
    for row in MOVE.all(tx, &args![now], rows).await? {
        moved.insert(row.id(0)?);
    }
    let logged = moves
        .iter()
        .filter(|one| moved.contains(&one.publication.id))
        .map(|one| {
            args![
                one.publication.workspace,
                one.publication.id,
                one.from.as_str(),
                one.publication.state.as_str(),
                one.epoch,
                now,
                one.note
            ]
        })
        .collect();
    LOG.run(tx, &args![], logged).await?;
    Ok(moved)
}

/// Stores what was made so far without a change of state: ids of uploads and containers.
///
/// Stale as `transition` is.
pub async fn save_progress(
    tx: &mut Tx,
    publication: &Publication,
    epoch: i64,
    now: Timestamp,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE publications SET progress = $3, updated_at = $4 \
             WHERE workspace_id = $1 AND id = $2 AND state = $5 AND epoch = $6",
            args![
                publication.workspace,
                publication.id,
                to_json(&publication.progress)?,
                now,
                publication.state.as_str(),
                epoch
            ],
        )
        .await?;
    expect_one(changed, "publication")
}

/// The transitions of a publication in order.
pub async fn list_log(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: PublicationId,
) -> Result<Vec<Transition>> {
    sql.all(
        "SELECT seq, from_state, to_state, epoch, at, note FROM publication_log \
         WHERE workspace_id = $1 AND publication_id = $2 ORDER BY seq",
        args![workspace, id],
    )
    .await?
    .iter()
    .map(|row| {
        Ok(Transition {
            seq: row.int(0)?,
            from: parse_state(row.text(1)?)?,
            to: parse_state(row.text(2)?)?,
            epoch: row.int(3)?,
            at: row.at(4)?,
            note: row.text(5)?,
        })
    })
    .collect()
}

/// Remote ids that belong to publications of an account, the `limit` latest.
pub async fn bound_remote_ids(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    limit: i64,
) -> Result<BTreeSet<String>> {
    sql.all(
        "SELECT remote_id FROM publications WHERE workspace_id = $1 AND account_id = $2 AND remote_id IS NOT NULL \
         ORDER BY published_at DESC LIMIT $3",
        args![workspace, account, limit],
    )
    .await?
    .iter()
    .map(|row| row.text(0))
    .collect()
}

/// Publications of every workspace in a state, the latest due first.
pub async fn list_by_state(
    sql: &mut dyn Sql,
    state: PublicationState,
    limit: i64,
) -> Result<Vec<Publication>> {
    sql.all(
        select!("WHERE state = $1 ORDER BY due_at DESC, id DESC LIMIT $2"),
        args![state.as_str(), limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Publications of one account in a state, earliest due first: what waits for a reconnection.
pub async fn list_for_account(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    state: PublicationState,
    limit: i64,
) -> Result<Vec<Publication>> {
    sql.all(
        select!(
            "WHERE workspace_id = $1 AND account_id = $2 AND state = $3 ORDER BY due_at, id LIMIT $4"
        ),
        args![workspace, account, state.as_str(), limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// When something of ours last became live at an account.
pub async fn last_published_at(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
) -> Result<Option<Timestamp>> {
    let row = sql
        .one(
            "SELECT MAX(published_at) FROM publications WHERE workspace_id = $1 AND account_id = $2",
            args![workspace, account],
        )
        .await?;
    row.map_or(Ok(None), |row| row.opt_at(0))
}

/// Posts that became live at an account since a moment; threads and comments count once.
pub async fn count_published_since(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    since: Timestamp,
) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM publications \
             WHERE workspace_id = $1 AND account_id = $2 AND published_at >= $3 AND part = 0",
            args![workspace, account, since],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Calls with a public effect that succeeded at an account since a moment; every part counts.
pub async fn count_parts_since(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    since: Timestamp,
) -> Result<i64> {
    let row = sql
        .one(
            "SELECT COUNT(*) FROM publications WHERE workspace_id = $1 AND account_id = $2 AND published_at >= $3",
            args![workspace, account, since],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// What became live at an account since a moment, latest first: to find a text said before.
pub async fn list_published_since(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    account: AccountId,
    since: Timestamp,
    limit: i64,
) -> Result<Vec<PublicationRow>> {
    sql.all(
        select!(
            "WHERE workspace_id = $1 AND account_id = $2 AND published_at >= $3 AND part = 0 \
             ORDER BY published_at DESC, id DESC LIMIT $4"
        ),
        args![workspace, account, since, limit],
    )
    .await?
    .iter()
    .map(read_row)
    .collect()
}

/// Publications of every workspace by state, for metrics.
pub async fn count_by_state(sql: &mut dyn Sql) -> Result<Vec<(PublicationState, i64)>> {
    sql.all(
        "SELECT state, COUNT(*) FROM publications GROUP BY state ORDER BY state",
        args![],
    )
    .await?
    .iter()
    .map(|row| Ok((parse_state(row.text(0)?)?, row.int(1)?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bulk::assert_goes_by_ids;

    #[tokio::test]
    async fn sqlite_looks_publications_of_a_batch_up_by_their_ids() {
        for shape in [MOVE, LISTED] {
            assert_goes_by_ids(shape).await;
        }
    }
}
