//! Events as people and rules look at them: in the order of their ids, narrowed by what they are about.
//!
//! SQLite finds them through a full-text index (`listed`), PostgreSQL merges them of their topics (`strands`).

use so_model::{
    event::{Event, kind::WEBHOOK_RECEIVED},
    id::{EventId, HookId, WorkspaceId},
    time::Timestamp,
};

use super::{
    events::read,
    filter::{Filter, kept},
    listed::{self, Listed, Topic},
    span::Span,
    strands::Strands,
};
use crate::{Backend, Result, Row, Sql};

/// What PostgreSQL lists an event by, word for word as the index has it: its kind, and for a call the hook as well.
macro_rules! topic {
    () => {
        "(CASE WHEN SUBSTR(source, 1, 5) = 'hook/' THEN kind || '/' || SUBSTR(source, 6) ELSE kind END)"
    };
}

const STRANDS: Strands = Strands {
    table: "events",
    name: topic!(),
};
const COLUMNS: &str = "id, workspace_id, kind, source, dedupe, subject, at, data, cause";
/// A call that speaks of nothing but its hook.
const OF_ITSELF: &str = " AND source = 'hook/' || subject";

/// The topic of a hook's calls.
fn topic_of_hook(hook: HookId) -> String {
    format!("{WEBHOOK_RECEIVED}/{hook}")
}

/// These columns of the rows of a span, in its order.
async fn rows(
    sql: &mut dyn Sql,
    columns: &'static str,
    workspace: WorkspaceId,
    topic: Topic<'_>,
    span: &Span<'_>,
) -> Result<Vec<Row>> {
    if sql.backend() == Backend::Sqlite {
        let events = Listed::Events(topic);
        return listed::rows(sql, columns, workspace, events, span).await;
    }
    let (strand, also) = match topic {
        Topic::All => (String::new(), span.also),
        // A kind may begin as another one with a hook does.
        Topic::Kind(kind) => (
            kind.to_owned(),
            kept(format!(" AND kind = $5{}", span.also)),
        ),
        Topic::Hook(hook) => (topic_of_hook(hook), span.also),
    };
    let span = Span { also, ..*span };
    STRANDS.rows(sql, columns, workspace, &strand, &span).await
}

fn of_kind(kind: &str) -> Topic<'_> {
    if kind.is_empty() {
        Topic::All
    } else {
        Topic::Kind(kind)
    }
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
    // Calls are about their hook unless they say otherwise, and none says that it is about another hook.
    let (topic, also) = match subject.parse() {
        Ok(_) if !kind.is_empty() && kind != WEBHOOK_RECEIVED => return Ok(Vec::new()),
        Ok(hook) => (Topic::Hook(hook), OF_ITSELF),
        Err(_) if subject.is_empty() => (of_kind(kind), ""),
        Err(_) => return list_about(sql, workspace, kind, subject, before, limit).await,
    };
    let span = Span {
        before,
        also,
        limit,
        ..Span::default()
    };
    let rows = rows(sql, COLUMNS, workspace, topic, &span).await?;
    rows.iter().map(read).collect()
}

async fn list_about(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    kind: &str,
    subject: &str,
    before: &str,
    limit: i64,
) -> Result<Vec<Event>> {
    let some = |text| Some(text).filter(|text: &&str| !text.is_empty());
    Filter::new("SELECT ")
        .then(COLUMNS)
        .with(" FROM events WHERE workspace_id = ?", workspace)
        .with(" AND subject = ?", subject)
        .then(NOT_OF_ITSELF)
        .maybe(" AND kind = ?", some(kind))
        .maybe(" AND id < ?", some(before))
        .with(" ORDER BY id DESC LIMIT ?", limit)
        .rows(sql)
        .await?
        .iter()
        .map(read)
        .collect()
}

/// Word for word as the index of subjects has it, or SQLite would not see that it fits.
const NOT_OF_ITSELF: &str = " AND subject IS NOT NULL AND source <> 'hook/' || subject";

/// What stands after `FROM` for the runs that events about a subject started, by whichever index has these.
pub(super) fn runs_about(
    query: Filter,
    backend: Backend,
    workspace: WorkspaceId,
    subject: &str,
) -> Filter {
    const RUNS: &str = " CROSS JOIN runs WHERE runs.event_id = events.id";
    match (subject.parse::<HookId>(), backend) {
        (Ok(hook), Backend::Sqlite) => listed::calls(query, workspace, hook)
            .then(RUNS)
            .with(" AND events.workspace_id || '' = ?", workspace)
            .with(" AND events.subject = ?", subject)
            .then(OF_ITSELF),
        (Ok(hook), Backend::Postgres) => query
            .then("events")
            .then(RUNS)
            .with(" AND events.workspace_id = ?", workspace)
            .with(" AND events.subject = ?", subject)
            .then(concat!(" AND ", topic!()))
            .with(" = ?", topic_of_hook(hook)),
        (Err(_), _) => query
            .then("events")
            .then(RUNS)
            .with(" AND events.workspace_id = ?", workspace)
            .with(" AND events.subject = ?", subject)
            .then(NOT_OF_ITSELF),
    }
}

/// Columns of a hook's latest call; none where it was never called.
pub(super) async fn latest_call(
    sql: &mut dyn Sql,
    columns: &'static str,
    workspace: WorkspaceId,
    hook: HookId,
) -> Result<Option<Row>> {
    let span = Span {
        limit: 1,
        ..Span::default()
    };
    let topic = Topic::Hook(hook);
    Ok(rows(sql, columns, workspace, topic, &span).await?.pop())
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
        after: &EventId::last_before(from).to_string(),
        before: &EventId::first_after(until).to_string(),
        limit,
        ..Span::default()
    };
    let rows = rows(sql, COLUMNS, workspace, of_kind(kind), &span).await?;
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
    let rows = rows(sql, "id", workspace, Topic::All, &span).await?;
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
    rows(sql, columns, workspace, Topic::All, &span).await
}
