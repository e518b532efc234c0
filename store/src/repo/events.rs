//! Events: stored once for each (workspace, source, dedupe id).

use std::collections::HashMap;

use so_model::{
    event::Event,
    event::kind::WEBHOOK_RECEIVED,
    id::{EventId, HookId, WorkspaceId},
    time::Timestamp,
};

use super::{
    filter::Filter,
    strands::{Span, Strands},
};
use crate::{
    Result, Row, Sql, Tx, args,
    bulk::Shape,
    dialect,
    value::{Args, to_json},
};

/// What an event is listed by, word for word as the index has it: its kind, and for a call the hook as well.
macro_rules! topic {
    () => {
        topic!("")
    };
    ($of:literal) => {
        concat!(
            "(CASE WHEN SUBSTR(",
            $of,
            "source, 1, 5) = 'hook/' THEN ",
            $of,
            "kind || '/' || SUBSTR(",
            $of,
            "source, 6) ELSE ",
            $of,
            "kind END)"
        )
    };
}
pub(super) use topic;

/// The topic of a hook's calls.
pub(super) fn topic_of_hook(hook: HookId) -> String {
    format!("{WEBHOOK_RECEIVED}/{hook}")
}

pub(super) const STRANDS: Strands = Strands {
    table: "events",
    name: topic!(),
};
const COLUMNS: &str = "id, workspace_id, kind, source, dedupe, subject, at, data, cause";

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
    after: " ON CONFLICT (workspace_id, source, dedupe) WHERE dedupe <> id DO NOTHING RETURNING id, \
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

/// A page of events, newest first; empty `kind` or `subject` is any.
pub async fn list(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    subject: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Event>> {
    if subject.is_empty() {
        let span = Span {
            strand: kind,
            before,
            limit,
            ..Span::default()
        };
        let rows = STRANDS.rows(sql, COLUMNS, workspace, &span).await?;
        return rows.iter().map(read).collect();
    }
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    about(
        Filter::new(
            "SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause FROM events WHERE ",
        )
        .with("workspace_id = ?", workspace),
        subject,
    )
    .maybe(" AND kind = ?", some(kind))
    .maybe(" AND id < ?", some(before))
    .with(" ORDER BY id DESC LIMIT ?", limit)
    .rows(sql)
    .await?
    .iter()
    .map(read)
    .collect()
}

/// Narrows to events about a subject, by whichever index has them.
pub(super) fn about(query: Filter, subject: &str) -> Filter {
    let query = query.with(" AND events.subject = ?", subject);
    match subject.parse() {
        // Calls are about their hook unless they say otherwise, and none says that it is about another hook.
        Ok(hook) => query
            .then(concat!(" AND ", topic!()))
            .with(" = ?", topic_of_hook(hook)),
        // Word for word as the index has it, or SQLite would not see that it fits.
        Err(_) => query.then(" AND subject IS NOT NULL AND source <> 'hook/' || subject"),
    }
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
    let span = Span {
        strand: kind,
        after: &EventId::last_before(from).to_string(),
        before: &EventId::first_after(until).to_string(),
        limit,
        ..Span::default()
    };
    let rows = STRANDS.rows(sql, COLUMNS, workspace, &span).await?;
    rows.iter().map(read).collect()
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
    // Right after the last, and before any other.
    let before = format!("{last}0");
    let rows = in_order(sql, workspace, after, &before, limit).await?;
    rows.iter()
        .map(|row| Ok((read(row)?, row.at(9)?, row.truth(10)?)))
        .collect()
}

/// Ids of events before one, the newest first; before none where empty.
pub(super) async fn newest_ids(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    before: &str,
    limit: i64,
) -> Result<Vec<EventId>> {
    let span = Span {
        before,
        limit,
        ..Span::default()
    };
    let rows = STRANDS.rows(sql, "id", workspace, &span).await?;
    rows.iter().map(|row| row.id(0)).collect()
}

/// Rows of the events between two ids, the oldest first, with the moment each was stored and whether it was decided.
pub(super) async fn in_order(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    after: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Row>> {
    let columns =
        "id, workspace_id, kind, source, dedupe, subject, at, data, cause, stored_at, is_decided";
    let span = Span {
        after,
        before,
        is_newest_first: false,
        limit,
        ..Span::default()
    };
    STRANDS.rows(sql, columns, workspace, &span).await
}

/// Removes decided events older than a moment that no kept run names; of a hook that is there, all but the latest call,
/// by which rules are written.
pub async fn prune(tx: &mut Tx, before: Timestamp, limit: i64) -> Result<u64> {
    tx.run(
        concat!(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE is_decided = 1 AND stored_at < $1 \
             AND NOT EXISTS (SELECT 1 FROM runs WHERE runs.event_id = events.id) \
             AND NOT (SUBSTR(source, 1, 5) = 'hook/' AND EXISTS (SELECT 1 FROM hooks WHERE hooks.id = SUBSTR(source, 6)) \
             AND NOT EXISTS (SELECT 1 FROM events AS later WHERE later.workspace_id = events.workspace_id AND ",
            topic!("later."),
            " = ",
            topic!("events."),
            " AND later.id > events.id)) ORDER BY stored_at LIMIT $2)"
        ),
        args![before, limit],
    )
    .await
}
