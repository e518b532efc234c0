//! Sessions: one signed-in browser each, known by hashes of its refresh tokens.
//!
//! Invariant: a refresh token is exchanged once; the exchange names the hash it replaces.

use so_model::{
    id::{SessionId, UserId},
    time::Timestamp,
};

use super::expect_one;
use crate::{Result, Row, Sql, Tx, args};

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Own id.
    pub id: SessionId,
    /// Whose.
    pub user: UserId,
    /// Hash of the valid refresh token.
    pub refresh_hash: String,
    /// Hash of the one before it.
    pub previous_hash: Option<String>,
    /// When the tokens were last exchanged.
    pub rotated_at: Timestamp,
    /// When the person signed in.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// When it was ended early.
    pub revoked_at: Option<Timestamp>,
    /// What the browser calls itself.
    pub user_agent: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, user_id, refresh_hash, previous_hash, rotated_at, created_at, expires_at, revoked_at, user_agent \
             FROM sessions ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Session> {
    Ok(Session {
        id: row.id(0)?,
        user: row.id(1)?,
        refresh_hash: row.text(2)?,
        previous_hash: row.opt_text(3)?,
        rotated_at: row.at(4)?,
        created_at: row.at(5)?,
        expires_at: row.at(6)?,
        revoked_at: row.opt_at(7)?,
        user_agent: row.text(8)?,
    })
}

/// Stores a session.
pub async fn insert(tx: &mut Tx, session: &Session) -> Result<()> {
    tx.run(
        "INSERT INTO sessions (id, user_id, refresh_hash, previous_hash, rotated_at, created_at, expires_at, revoked_at, \
         user_agent) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        args![
            session.id, session.user, &session.refresh_hash, session.previous_hash.clone(), session.rotated_at,
            session.created_at, session.expires_at, session.revoked_at, &session.user_agent
        ],
    )
    .await?;
    Ok(())
}

/// The session with an id.
pub async fn find(sql: &mut dyn Sql, id: SessionId) -> Result<Option<Session>> {
    let row = sql.one(select!("WHERE id = $1"), args![id]).await?;
    row.as_ref().map(read).transpose()
}

/// The session whose valid refresh token has a hash, also an ended one.
pub async fn find_by_refresh_hash(sql: &mut dyn Sql, hash: &str) -> Result<Option<Session>> {
    let row = sql
        .one(select!("WHERE refresh_hash = $1"), args![hash])
        .await?;
    row.as_ref().map(read).transpose()
}

/// The session whose former refresh token has a hash.
pub async fn find_by_previous_hash(sql: &mut dyn Sql, hash: &str) -> Result<Option<Session>> {
    let row = sql
        .one(
            select!("WHERE previous_hash = $1 ORDER BY id DESC LIMIT 1"),
            args![hash],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Exchanges the refresh token; stale when it was exchanged or the session ended before.
pub async fn rotate(
    tx: &mut Tx,
    id: SessionId,
    old_hash: &str,
    new_hash: &str,
    now: Timestamp,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE sessions SET previous_hash = refresh_hash, refresh_hash = $3, rotated_at = $4 \
             WHERE id = $1 AND refresh_hash = $2 AND revoked_at IS NULL AND expires_at > $4",
            args![id, old_hash, new_hash, now],
        )
        .await?;
    expect_one(changed, "session")
}

/// Ends a session; false when it was ended before.
pub async fn revoke(tx: &mut Tx, id: SessionId, now: Timestamp) -> Result<bool> {
    let changed = tx
        .run(
            "UPDATE sessions SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL",
            args![id, now],
        )
        .await?;
    Ok(changed == 1)
}

/// Ends every session of a person.
pub async fn revoke_all(tx: &mut Tx, user: UserId, now: Timestamp) -> Result<u64> {
    tx.run(
        "UPDATE sessions SET revoked_at = $2 WHERE user_id = $1 AND revoked_at IS NULL",
        args![user, now],
    )
    .await
}

/// The live sessions of a person, newest first.
pub async fn list(
    sql: &mut dyn Sql,
    user: UserId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Session>> {
    sql.all(
        select!(
            "WHERE user_id = $1 AND revoked_at IS NULL AND expires_at > $2 ORDER BY created_at DESC, id DESC LIMIT $3"
        ),
        args![user, now, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Whether a session may still be used.
pub async fn is_live(sql: &mut dyn Sql, id: SessionId, now: Timestamp) -> Result<bool> {
    let row = sql
        .one(
            "SELECT 1 AS found FROM sessions WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2",
            args![id, now],
        )
        .await?;
    Ok(row.is_some())
}

/// Removes sessions that ended before a moment.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(
        "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < $1 OR revoked_at < $1 \
         ORDER BY id LIMIT $2)",
        args![before, limit],
    )
    .await
}
