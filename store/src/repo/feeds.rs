//! Subscribed feeds and the items that were seen in them.
//!
//! Invariant: one poller holds a feed; whoever records an outcome names the
//! lease it polled under.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use so_model::{
    id::{FeedId, WorkspaceId},
    time::Timestamp,
};

use super::{expect_one, parsed};
use crate::{Result, Row, Sql, Tx, args, dialect, value::to_json};

/// Items of a feed that are remembered; feeds show a few hundred at the most.
pub const KNOWN_ITEMS_MAX: i64 = 5_000;

/// Whether a feed is polled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FeedState {
    /// Polled.
    Active,
    /// Polled ever less often, since it cannot be read.
    Failing,
    /// Not polled: switched off by a person, or given up.
    Paused,
}

impl FeedState {
    /// The stored and wire name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Failing => "failing",
            Self::Paused => "paused",
        }
    }
    /// Reads the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Active, Self::Failing, Self::Paused]
            .into_iter()
            .find(|state| state.as_str() == text)
    }
}

/// A feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Feed {
    /// Own id.
    pub id: FeedId,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// Address, unique in the workspace.
    pub url: String,
    /// Title as the feed gives it.
    pub title: String,
    /// Whether it is polled.
    pub state: FeedState,
    /// For conditional requests.
    pub etag: Option<String>,
    /// For conditional requests.
    pub last_modified: Option<String>,
    /// Seconds between polls.
    pub interval_s: i64,
    /// Polls that failed in a row.
    pub failures: i64,
    /// What went wrong, for people.
    pub problem: Option<String>,
    /// When it is polled next.
    pub next_poll_at: Timestamp,
    /// When it was last polled.
    pub polled_at: Option<Timestamp>,
    /// Held by a poller until then.
    pub lease_until: Timestamp,
    /// Its first items were seen; only later ones are new.
    pub is_primed: bool,
    /// When it was subscribed.
    pub created_at: Timestamp,
}

/// What a poll that worked found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PollAnswer {
    /// Title as the feed gives it.
    pub title: String,
    /// For the next conditional request.
    pub etag: Option<String>,
    /// For the next conditional request.
    pub last_modified: Option<String>,
    /// When to poll again.
    pub next_poll_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, workspace_id, url, title, state, etag, last_modified, interval_s, failures, problem, \
             next_poll_at, polled_at, lease_until, is_primed, created_at FROM feeds ",
            $rest
        )
    };
}

fn read(row: &Row) -> Result<Feed> {
    Ok(Feed {
        id: row.id(0)?,
        workspace: row.id(1)?,
        url: row.text(2)?,
        title: row.text(3)?,
        state: parsed("feed state", row.text(4)?, FeedState::parse)?,
        etag: row.opt_text(5)?,
        last_modified: row.opt_text(6)?,
        interval_s: row.int(7)?,
        failures: row.int(8)?,
        problem: row.opt_text(9)?,
        next_poll_at: row.at(10)?,
        polled_at: row.opt_at(11)?,
        lease_until: row.at(12)?,
        is_primed: row.truth(13)?,
        created_at: row.at(14)?,
    })
}

/// Stores a feed; a conflict when the workspace has the address already.
pub async fn insert(tx: &mut Tx, feed: &Feed) -> Result<()> {
    tx.run(
        "INSERT INTO feeds (id, workspace_id, url, title, state, etag, last_modified, interval_s, failures, problem, \
         next_poll_at, polled_at, lease_until, is_primed, created_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        args![
            feed.id, feed.workspace, &feed.url, &feed.title, feed.state.as_str(), feed.etag.clone(),
            feed.last_modified.clone(), feed.interval_s, feed.failures, feed.problem.clone(), feed.next_poll_at,
            feed.polled_at, feed.lease_until, feed.is_primed, feed.created_at
        ],
    )
    .await?;
    Ok(())
}

/// The feed with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: FeedId) -> Result<Option<Feed>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND id = $2"),
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// The feed with an address.
pub async fn find_by_url(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    url: &str,
) -> Result<Option<Feed>> {
    let row = sql
        .one(
            select!("WHERE workspace_id = $1 AND url = $2"),
            args![workspace, url],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Feeds of a workspace after a cursor, oldest first.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    limit: i64,
) -> Result<Vec<Feed>> {
    sql.all(
        select!("WHERE workspace_id = $1 AND id > $2 ORDER BY id LIMIT $3"),
        args![workspace, after, limit],
    )
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Changes what a person decides: title, state, interval and next poll.
///
/// Leaves alone what polls record, so that it never undoes a poll under way.
pub async fn update(tx: &mut Tx, feed: &Feed) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE feeds SET title = $3, state = $4, interval_s = $5, next_poll_at = $6 \
             WHERE workspace_id = $1 AND id = $2",
            args![
                feed.workspace,
                feed.id,
                &feed.title,
                feed.state.as_str(),
                feed.interval_s,
                feed.next_poll_at
            ],
        )
        .await?;
    expect_one(changed, "feed")
}

/// Deletes a feed and its items; false when there is none.
pub async fn delete(tx: &mut Tx, workspace: WorkspaceId, id: FeedId) -> Result<bool> {
    let changed = tx
        .run(
            "DELETE FROM feeds WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    Ok(changed == 1)
}

/// Claims feeds of every workspace that are to be polled, until `lease_until`.
pub async fn claim_due(
    tx: &mut Tx,
    now: Timestamp,
    lease_until: Timestamp,
    limit: i64,
) -> Result<Vec<Feed>> {
    let sql = dialect::claim_feeds(tx.backend());
    tx.all(sql, args![now, lease_until, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// When the next poll is due, if there is one.
pub async fn next_due(sql: &mut dyn Sql) -> Result<Option<Timestamp>> {
    let row = sql
        .one(
            "SELECT MIN(CASE WHEN lease_until > next_poll_at THEN lease_until ELSE next_poll_at END) \
             FROM feeds WHERE state <> 'paused'",
            args![],
        )
        .await?;
    row.map_or(Ok(None), |row| row.opt_at(0))
}

/// Records a poll that worked; `claimed` is the feed as `claim_due` gave it.
///
/// Stale when another poller holds the feed now. A pause made meanwhile stays.
pub async fn record_success(
    tx: &mut Tx,
    claimed: &Feed,
    answer: &PollAnswer,
    now: Timestamp,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE feeds SET state = CASE WHEN state = 'paused' THEN state ELSE 'active' END, title = $4, etag = $5, \
             last_modified = $6, next_poll_at = $7, polled_at = $8, failures = 0, problem = NULL, lease_until = 0, \
             is_primed = 1 WHERE workspace_id = $1 AND id = $2 AND lease_until = $3",
            args![
                claimed.workspace, claimed.id, claimed.lease_until, &answer.title, answer.etag.clone(),
                answer.last_modified.clone(), answer.next_poll_at, now
            ],
        )
        .await?;
    expect_one(changed, "feed's lease")
}

/// Records a poll that failed; `state` says whether it is tried again.
///
/// Stale when another poller holds the feed now. A pause made meanwhile stays.
pub async fn record_failure(
    tx: &mut Tx,
    claimed: &Feed,
    state: FeedState,
    problem: &str,
    next_poll_at: Timestamp,
    now: Timestamp,
) -> Result<()> {
    let changed = tx
        .run(
            "UPDATE feeds SET state = CASE WHEN state = 'paused' THEN state ELSE $4 END, problem = $5, \
             next_poll_at = $6, polled_at = $7, failures = failures + 1, lease_until = 0 \
             WHERE workspace_id = $1 AND id = $2 AND lease_until = $3",
            args![
                claimed.workspace,
                claimed.id,
                claimed.lease_until,
                state.as_str(),
                problem,
                next_poll_at,
                now
            ],
        )
        .await?;
    expect_one(changed, "feed's lease")
}

/// Keys and content hashes of the items seen last.
pub async fn known_items(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    feed: FeedId,
) -> Result<BTreeMap<String, String>> {
    sql.all(
        "SELECT item_key, content_hash FROM feed_items WHERE workspace_id = $1 AND feed_id = $2 \
         ORDER BY seen_at DESC, item_key LIMIT $3",
        args![workspace, feed, KNOWN_ITEMS_MAX],
    )
    .await?
    .iter()
    .map(|row| Ok((row.text(0)?, row.text(1)?)))
    .collect()
}

/// Remembers an item, or what it says now.
pub async fn put_item(
    tx: &mut Tx,
    workspace: WorkspaceId,
    feed: FeedId,
    key: &str,
    content_hash: &str,
    doc: &Value,
    now: Timestamp,
) -> Result<()> {
    tx.run(
        "INSERT INTO feed_items (workspace_id, feed_id, item_key, content_hash, doc, seen_at) \
         VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (feed_id, item_key) DO UPDATE SET content_hash = excluded.content_hash, doc = excluded.doc, \
         seen_at = excluded.seen_at",
        args![workspace, feed, key, content_hash, to_json(doc)?, now],
    )
    .await?;
    Ok(())
}

/// The items of a feed seen last, latest first.
pub async fn list_items(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    feed: FeedId,
    limit: i64,
) -> Result<Vec<Value>> {
    sql.all(
        "SELECT doc FROM feed_items WHERE workspace_id = $1 AND feed_id = $2 \
         ORDER BY seen_at DESC, item_key LIMIT $3",
        args![workspace, feed, limit],
    )
    .await?
    .iter()
    .map(|row| row.json(0))
    .collect()
}

/// Forgets the oldest items beyond the number that is kept.
pub async fn prune_items(tx: &mut Tx, workspace: WorkspaceId, feed: FeedId) -> Result<u64> {
    tx.run(
        "DELETE FROM feed_items WHERE workspace_id = $1 AND feed_id = $2 AND item_key NOT IN \
         (SELECT item_key FROM feed_items WHERE workspace_id = $1 AND feed_id = $2 \
         ORDER BY seen_at DESC, item_key LIMIT $3)",
        args![workspace, feed, KNOWN_ITEMS_MAX],
    )
    .await
}
