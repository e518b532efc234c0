//! Events: stored once for each (workspace, source, dedupe id).

use std::collections::HashMap;

use so_model::{
    event::Event,
    id::{EventId, WorkspaceId},
    time::Timestamp,
};

use super::filter::Filter;
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
    after: " ON CONFLICT (workspace_id, source, dedupe) DO NOTHING RETURNING id, \
            CASE WHEN EXISTS (SELECT 1 FROM waits WHERE waits.workspace_id = events.workspace_id \
            AND waits.kind = events.kind AND waits.event_id IS NULL) THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END",
    fixed: 0,
};

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
    let stored = insert_and_look(tx, events, is_decided, now).await?;
    Ok(stored.iter().map(Option::is_some).collect())
}

/// Stores events; none for a second delivery, else whether a run waits for an event of this kind.
///
/// Looked up in the same statement, so that waits cost nothing where there are none.
pub async fn insert_and_look(
    tx: &mut Tx,
    events: &[&Event],
    is_decided: bool,
    now: Timestamp,
) -> Result<Vec<Option<bool>>> {
    let mut rows = Vec::with_capacity(events.len());
    for event in events {
        rows.push(args![
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
        ]);
    }
    let stored = INSERT.all(tx, &Args::new(), rows).await?;
    let stored: HashMap<EventId, bool> = stored
        .iter()
        .map(|row| Ok((row.id(0)?, row.int(1)? == 1)))
        .collect::<Result<_>>()?;
    Ok(events
        .iter()
        .map(|event| stored.get(&event.id).copied())
        .collect())
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

/// The event that a delivery with this identity became.
pub async fn find_delivery(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    source: &str,
    dedupe: &str,
) -> Result<Option<Event>> {
    let row = sql
        .one(
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events \
             WHERE workspace_id = $1 AND source = $2 AND dedupe = $3",
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

/// A page of events, newest first; empty `kind` or `subject` is any.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    subject: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Event>> {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    Filter::new(
        "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events WHERE ",
    )
    .with("workspace_id = ?", workspace)
    .maybe(" AND kind = ?", some(kind))
    .maybe(" AND subject = ?", some(subject))
    .maybe(" AND id < ?", some(before))
    .with(" ORDER BY id DESC LIMIT ?", limit)
    .rows(sql)
    .await?
    .iter()
    .map(read)
    .collect()
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

/// Events of one kind stored within a span, newest first; an empty kind is any.
///
/// Goes by ids, which hold the moment of their making.
pub async fn list_between(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    from: Timestamp,
    until: Timestamp,
    limit: i64,
) -> Result<Vec<Event>> {
    let first: EventId = EventId::from_parts(from, [0; 10]);
    let last: EventId = EventId::from_parts(until, [u8::MAX; 10]);
    Filter::new(
        "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events WHERE ",
    )
    .with("workspace_id = ?", workspace)
    .maybe(" AND kind = ?", (!kind.is_empty()).then_some(kind))
    .with(" AND id >= ?", first)
    .with(" AND id <= ?", last)
    .with(" ORDER BY id DESC LIMIT ?", limit)
    .rows(sql)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Events of a workspace after one and up to another by their ids, the oldest first, each with the moment it was
/// stored and whether every rule has been tried on it.
pub async fn list_after(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    last: EventId,
    limit: i64,
) -> Result<Vec<(Event, Timestamp, bool)>> {
    sql.all(
        "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause, stored_at, is_decided FROM events \
         WHERE workspace_id = $1 AND id > $2 AND id <= $3 ORDER BY id LIMIT $4",
        args![workspace, after, last, limit],
    )
    .await?
    .iter()
    .map(|row| Ok((read(row)?, row.at(9)?, row.truth(10)?)))
    .collect()
}

/// Removes decided events older than a moment that no kept run names.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(
        "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE is_decided = 1 AND stored_at < $1 \
         AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event_id = events.id) ORDER BY stored_at LIMIT $2)",
        args![before, limit],
    )
    .await
}
