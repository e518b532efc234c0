//! Events: stored once for each (workspace, source, dedupe id).

use std::collections::{BTreeMap, HashMap, HashSet};

use so_model::{
    event::Event,
    id::{EventId, HookId, WorkspaceId},
    time::Timestamp,
};

use super::event_lists;
pub use super::event_lists::{list, list_after, list_between};
use crate::{
    Result, Row, Sql, Tx, args,
    bulk::Shape,
    dialect,
    value::{Args, to_json},
};

pub(super) fn read(row: &Row) -> Result<Event> {
    Ok(Event {
        id: row.id(0)?,
        workspace: row.id(1)?,
        kind: row.text(2)?,
        source: row.text(3)?,
        dedupe: row.text(4)?,
        subject: row.opt_text(5)?,
        time: row.at(6)?,
        data: row.json(7)?,
        cause: row.json(8)?,
    })
}

const INSERT: Shape = Shape {
    before: "INSERT INTO events (id, workspace_id, kind, source, dedupe, subject, at, data, cause, root_id, is_decided, stored_at) \
             VALUES ",
    columns: 12,
    // Also by id: whoever cannot know whether a commit took effect stores the same event again.
    after: " ON CONFLICT DO NOTHING RETURNING id, \
            CASE WHEN EXISTS (SELECT 1 FROM waits WHERE waits.workspace_id = events.workspace_id \
            AND waits.kind = events.kind AND waits.event_id IS NULL) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
    fixed: 0,
};

/// An event as a row that is yet to be stored.
#[derive(Debug)]
pub struct NewRow {
    id: EventId,
    args: Args,
}

impl NewRow {
    /// The row of an event that is stored at a moment, with whether every rule has been tried on it.
    pub fn of(event: &Event, is_decided: bool, now: Timestamp) -> Result<Self> {
        let args = args![
            event.id,
            event.workspace,
            &event.kind,
            &event.source,
            &event.dedupe,
            event.subject.clone(),
            event.time,
            to_json(&event.data)?,
            to_json(&event.cause)?,
            event.cause.root.unwrap_or(event.id),
            is_decided,
            now
        ];
        Ok(Self { id: event.id, args })
    }
}

/// Stores an event; false when it is a second delivery.
pub async fn insert(tx: &mut Tx, event: &Event, is_decided: bool, now: Timestamp) -> Result<bool> {
    let stored = insert_many(tx, &[event], is_decided, now).await?;
    Ok(stored == [true])
}

/// Stores events; for each in its place, false when it is a second delivery.
pub async fn insert_many(
    tx: &mut Tx,
    events: &[&Event],
    is_decided: bool,
    now: Timestamp,
) -> Result<Vec<bool>> {
    let rows = events
        .iter()
        .map(|event| NewRow::of(event, is_decided, now));
    let stored = insert_and_look(tx, rows.collect::<Result<_>>()?).await?;
    let is_stored = |event: &&Event| stored.contains_key(&event.id);
    Ok(events.iter().map(is_stored).collect())
}

/// Stores events; answers which are no second deliveries, with whether a run waits for an event of the kind.
///
/// Looked up in the same statement, so that waits cost nothing where there are none.
pub async fn insert_and_look(tx: &mut Tx, mut rows: Vec<NewRow>) -> Result<HashMap<EventId, bool>> {
    // In the order of ids: the index that SQLite lists them by writes a portion of its own for one that is out of it.
    rows.sort_by_key(|row| row.id);
    let rows = rows.into_iter().map(|row| row.args).collect();
    let stored = INSERT.all(tx, &Args::new(), rows).await?;
    stored
        .iter()
        .map(|row| Ok((row.id(0)?, row.int(1)? == 1)))
        .collect()
}

/// The event with an id.
pub async fn find(sql: &mut dyn Sql, workspace: WorkspaceId, id: EventId) -> Result<Option<Event>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events \
             WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

const LISTED: Shape = Shape {
    before: "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events WHERE id IN (",
    columns: 1,
    after: ")",
    fixed: 0,
};

/// Events by their ids, in no order, of any workspace.
pub async fn list_of(sql: &mut dyn Sql, ids: &[EventId]) -> Result<Vec<Event>> {
    LISTED.read(sql, &args![], ids, read).await
}

const NAMES: Shape = Shape {
    before: "SELECT id, kind, subject FROM events WHERE workspace_id || '' = $1 AND id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

/// Kinds and subjects of events.
///
/// The workspace is hidden from the planners: an id is narrower than it.
pub async fn names(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    ids: &[EventId],
) -> Result<Vec<(EventId, String, Option<String>)>> {
    NAMES
        .read(sql, &args![workspace], ids, |row| {
            Ok((row.id(0)?, row.text(1)?, row.opt_text(2)?))
        })
        .await
}

/// The event that a delivery with this identity became; whoever names none gets the event's own id, by which it is not
/// found here.
pub async fn find_delivery(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    source: &str,
    dedupe: &str,
) -> Result<Option<Event>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events \
             WHERE workspace_id = $1 AND source = $2 AND dedupe = $3 AND dedupe <> id",
            args![workspace, source, dedupe],
        )
        .await?;
    row.as_ref().map(read).transpose()
}

/// Events on which no rule has been tried, oldest first.
pub async fn claim_undecided(
    tx: &mut Tx,
    stored_before: Timestamp,
    limit: i64,
) -> Result<Vec<Event>> {
    let sql = dialect::undecided_events(tx.backend());
    tx.all(sql, args![stored_before, limit])
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Notes that every rule has been tried on an event.
pub async fn mark_decided(tx: &mut Tx, id: EventId) -> Result<()> {
    tx.run("UPDATE events SET is_decided = 1 WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// How many events a chain of consequences has, its root included.
pub async fn count_in_chain(sql: &mut dyn Sql, root: EventId) -> Result<i64> {
    let row = sql
        .one(
            "SELECT 1 + COUNT(*) FROM events WHERE root_id = $1 AND root_id <> id",
            args![root],
        )
        .await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// When an event was stored, and whether every rule has been tried on it.
pub async fn stored_at(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    id: EventId,
) -> Result<Option<(Timestamp, bool)>> {
    let row = sql
        .one(
            "SELECT stored_at, is_decided FROM events WHERE workspace_id = $1 AND id = $2",
            args![workspace, id],
        )
        .await?;
    row.map(|row| Ok((row.at(0)?, row.truth(1)?))).transpose()
}

/// How far a walk over old events has come: the moment that one was stored at, and its id.
pub type PruneMark = (Timestamp, EventId);

/// Removes decided events older than a moment that no kept run names; of a hook that is there, all but the latest call,
/// by which rules are written.
///
/// Looks at no more than so many after the mark. Answers how many it removed, and how far it came unless that is the end.
pub async fn prune(
    tx: &mut Tx,
    before: Timestamp,
    after: Option<PruneMark>,
    limit: i64,
) -> Result<(u64, Option<PruneMark>)> {
    let after = after.map_or((i64::MIN, String::new()), |(at, id)| {
        (at.micros(), id.to_string())
    });
    let rows = tx
        .all(
            "SELECT id, stored_at, workspace_id, source FROM events WHERE is_decided = 1 AND stored_at < $1 \
             AND stored_at >= $2 AND (stored_at > $2 OR id > $3) \
             AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event_id = events.id) ORDER BY stored_at, id LIMIT $4",
            args![before, after.0, after.1, limit],
        )
        .await?;
    let mut calls: BTreeMap<HookId, WorkspaceId> = BTreeMap::new();
    for row in &rows {
        let source = row.text(3)?;
        if let Some(hook) = source.strip_prefix("hook/").and_then(|id| id.parse().ok()) {
            calls.insert(hook, row.id(2)?);
        }
    }
    let mut kept = HashSet::new();
    for hook in super::hooks::existing(tx, &calls.keys().copied().collect::<Vec<_>>()).await? {
        if let Some(latest) = event_lists::latest_call(tx, "id", calls[&hook], hook).await? {
            kept.insert(latest.id::<so_model::id::kind::Event>(0)?);
        }
    }
    let (mut gone, mut mark) = (Vec::with_capacity(rows.len()), None);
    for row in &rows {
        let id: EventId = row.id(0)?;
        mark = Some((row.at(1)?, id));
        if !kept.contains(&id) {
            gone.push(args![id]);
        }
    }
    let is_end = i64::try_from(rows.len()).is_ok_and(|count| count < limit);
    let removed = REMOVE.run(tx, &args![], gone).await?;
    Ok((removed, mark.filter(|_| !is_end)))
}

// Asked again: on PostgreSQL a run of such an event may have been stored since they were looked at.
const REMOVE: Shape = Shape {
    before: "DELETE FROM events WHERE id IN (",
    columns: 1,
    after: ") AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event_id = events.id)",
    fixed: 0,
};
