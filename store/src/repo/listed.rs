//! Events and runs of a workspace in the order of their ids, as SQLite finds them: through a full-text index.
//!
//! A tree that begins with the workspace costs every event a page of its own where there are many workspaces. The
//! full-text index `events_listed` writes what a transaction adds together, and merges it later. It knows terms (the
//! workspace, a kind of event in it, a hook; for runs the workspace and the rule) and for each of them *places*, which are
//! fifteen digits of an id.
//!
//! Invariant: the index may name too many places and never too few; what is asked for is decided by the rows. It is kept
//! by triggers alone.

use std::fmt::Write as _;

use so_model::id::{HookId, RuleId, WorkspaceId};

use super::{filter::Filter, span::Span};
use crate::{Result, Row, Sql, args};

/// Which events of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Topic<'a> {
    /// All of them.
    All,
    /// Of this kind.
    Kind(&'a str),
    /// Calls of this hook.
    Hook(HookId),
}

/// What is listed of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Listed<'a> {
    /// Events of a topic.
    Events(Topic<'a>),
    /// Runs, all or those of a rule.
    Runs(Option<RuleId>),
}

impl Listed<'_> {
    fn table(&self) -> &'static str {
        match self {
            Self::Events(_) => "events",
            Self::Runs(_) => "runs",
        }
    }

    /// What stands before a place in an id: the letters of its kind, and the first digit of its moment, a zero until 2527.
    fn before_place(&self) -> &'static str {
        match self {
            Self::Events(_) => "evt_0",
            Self::Runs(_) => "run_0",
        }
    }
}

/// Hexadecimal digits of a place.
const DIGITS: usize = 15;
/// Hexadecimal digits of an id in a term.
const ENDING: usize = 12;
/// Places that are asked for at once at the most.
const PLACES_MAX: i64 = 4_096;

/// The term that all of these have, as the triggers spell it and the tokenizer takes it; some others may as well.
fn term(workspace: WorkspaceId, listed: Listed<'_>) -> String {
    match listed {
        Listed::Events(Topic::All) => ending(&workspace.to_string()).to_owned(),
        Listed::Events(Topic::Kind(kind)) => {
            let is_of_token = |letter: &char| {
                matches!(letter, '_' | '.') || !letter.is_ascii() || letter.is_ascii_alphanumeric()
            };
            let kind: String = kind.chars().take_while(is_of_token).collect();
            format!("{}_{kind}", ending(&workspace.to_string()))
        }
        Listed::Events(Topic::Hook(hook)) => ending(&hook.to_string()).to_owned(),
        Listed::Runs(None) => format!("r{}", ending(&workspace.to_string())),
        Listed::Runs(Some(rule)) => format!("r{}", ending(&rule.to_string())),
    }
}

/// What terms know of an id: its last digits, which are random.
fn ending(id: &str) -> &str {
    &id[id.len() - ENDING..]
}

/// The first place that an id with this beginning can have, or the last; none where it is not the beginning of any.
fn place(start: &str, text: &str, fill: char) -> Option<i64> {
    let digits = text.strip_prefix(start)?;
    let digits: String = digits
        .chars()
        .take_while(|digit| matches!(digit, '0'..='9' | 'a'..='f'))
        .take(DIGITS)
        .collect();
    let filled = digits + &fill.to_string().repeat(DIGITS);
    i64::from_str_radix(&filled[..DIGITS], 16).ok()
}

/// The places between two texts that ids are compared with; too many rather than too few.
fn places(start: &str, after: &str, before: &str) -> (i64, i64) {
    let first = match place(start, after, '0') {
        Some(place) => place,
        None if after < start => 0,
        None => i64::MAX,
    };
    let last = match place(start, before, 'f') {
        Some(place) => place,
        None if before.is_empty() || before > start => i64::MAX,
        None => -1,
    };
    (first, last)
}

/// These columns of the rows of a span, in its order.
pub(super) async fn rows(
    sql: &mut dyn Sql,
    columns: &'static str,
    workspace: WorkspaceId,
    listed: Listed<'_>,
    span: &Span<'_>,
) -> Result<Vec<Row>> {
    let term = quoted(workspace, listed);
    let (mut first, mut last) = places(listed.before_place(), span.after, span.before);
    let mut found: Vec<Row> = Vec::new();
    let mut at_once = span.limit.max(1);
    loop {
        let missing = span.limit - i64::try_from(found.len()).unwrap_or(i64::MAX);
        if missing <= 0 || first > last {
            return Ok(found);
        }
        let text = if span.is_newest_first {
            NEWEST_PLACES
        } else {
            OLDEST_PLACES
        };
        let args = args![&term, first, last, at_once];
        let places = sql.all(text, args).await?;
        let places: Vec<i64> = places.iter().map(|row| row.int(0)).collect::<Result<_>>()?;
        let Some(end) = places.last() else {
            return Ok(found);
        };
        let span = Span {
            limit: missing,
            ..*span
        };
        found.extend(rows_at(sql, columns, workspace, listed, &span, &places).await?);
        if i64::try_from(places.len()).is_ok_and(|count| count < at_once) {
            return Ok(found);
        }
        if span.is_newest_first {
            last = end - 1;
        } else {
            first = end + 1;
        }
        // Few of the places had what is asked for.
        at_once = (at_once * 2).min(PLACES_MAX.max(span.limit));
    }
}

const NEWEST_PLACES: &str = "SELECT rowid FROM events_listed WHERE events_listed MATCH $1 AND rowid >= $2 AND rowid <= $3 \
                             ORDER BY rowid DESC LIMIT $4";
const OLDEST_PLACES: &str = "SELECT rowid FROM events_listed WHERE events_listed MATCH $1 AND rowid >= $2 AND rowid <= $3 \
                             ORDER BY rowid LIMIT $4";

/// What stands after `FROM` for the events of a hook; names too many.
pub(super) fn calls(query: Filter, workspace: WorkspaceId, hook: HookId) -> Filter {
    query
        .with(
            "(SELECT 'evt_0' || PRINTF('%015x', rowid) AS start FROM events_listed WHERE events_listed MATCH ?) AS places \
             CROSS JOIN events ON events.id >= places.start AND events.id < places.start || 'g'",
            quoted(workspace, Listed::Events(Topic::Hook(hook))),
        )
}

/// What stands after `FROM` for the runs of a rule after an id, with the end of a condition; names no others.
pub(super) fn runs_of(query: Filter, workspace: WorkspaceId, rule: RuleId, after: &str) -> Filter {
    let listed = Listed::Runs(Some(rule));
    let (first, _) = places(listed.before_place(), after, "");
    query
        .with(
            "(SELECT 'run_0' || PRINTF('%015x', rowid) AS start FROM events_listed WHERE events_listed MATCH ?",
            quoted(workspace, listed),
        )
        .with(
            " AND rowid >= ?) AS places CROSS JOIN runs ON runs.id >= places.start AND runs.id < places.start || 'g'",
            first,
        )
        .with(" WHERE runs.workspace_id || '' = ?", workspace)
        .with(" AND runs.rule_id || '' = ?", rule)
        .with(" AND +runs.id > ?", after)
}

fn quoted(workspace: WorkspaceId, listed: Listed<'_>) -> String {
    format!("\"{}\"", term(workspace, listed))
}

async fn rows_at(
    sql: &mut dyn Sql,
    columns: &'static str,
    workspace: WorkspaceId,
    listed: Listed<'_>,
    span: &Span<'_>,
    places: &[i64],
) -> Result<Vec<Row>> {
    let before_place = listed.before_place();
    let mut starts = String::from("[");
    for place in places {
        let comma = if starts.len() > 1 { "," } else { "" };
        let _ = write!(starts, "{comma}\"{before_place}{place:0DIGITS$x}\"");
    }
    starts.push(']');
    let query = Filter::new("SELECT ")
        .then(columns)
        .with(
            " FROM (SELECT value AS start FROM json_each(?)) AS places CROSS JOIN ",
            starts,
        )
        .then(listed.table())
        .then(" AS listed ON listed.id >= places.start AND listed.id < places.start || 'g'")
        // Hidden from the planner: a place is narrower than these, and of two bounds it may take the wider one.
        .with(" WHERE workspace_id || '' = ?", workspace)
        .with(" AND +id > ?", span.after)
        .maybe(
            " AND +id < ?",
            Some(span.before).filter(|text| !text.is_empty()),
        );
    let query = match listed {
        Listed::Events(Topic::All) | Listed::Runs(None) => query,
        Listed::Runs(Some(rule)) => query.with(" AND rule_id || '' = ?", rule),
        Listed::Events(Topic::Kind(kind)) => query.with(" AND kind = ?", kind),
        Listed::Events(Topic::Hook(hook)) => query.with(" AND source = ?", format!("hook/{hook}")),
    };
    let order = if span.is_newest_first {
        " ORDER BY id DESC LIMIT ?"
    } else {
        " ORDER BY id LIMIT ?"
    };
    query
        .then(span.also)
        .with(order, span.limit)
        .rows(sql)
        .await
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use so_model::{id::EventId, time::Timestamp};

    use super::*;
    use crate::{Store, StoreOptions, value::Value};

    #[tokio::test]
    async fn runs_of_a_rule_are_looked_up_place_by_place_and_never_walked() {
        let folder = tempfile::tempdir().unwrap();
        let options = StoreOptions::in_folder(folder.path());
        let mut store = Store::open(&options).await.unwrap();
        let (workspace, rule) = (WorkspaceId::derived(&["w"]), RuleId::derived(&["r"]));
        let counting = runs_of(Filter::new("SELECT COUNT(*) FROM "), workspace, rule, "");
        let text = format!("EXPLAIN QUERY PLAN {}", counting.finish().0).leak();
        let args = vec![Value::Int(Some(1)); 6];
        let plan = store.all(text, args).await.unwrap();
        let plan: Vec<String> = plan.iter().map(|row| row.text(3).unwrap()).collect();
        let looks =
            |step: &String| step.starts_with("SEARCH runs") && step.contains("(id>? AND id<?)");
        assert!(plan.iter().any(looks), "{plan:#?}");
        assert!(
            !plan.iter().any(|step| step.starts_with("SCAN runs")),
            "{plan:#?}"
        );
        store.close().await.unwrap();
    }

    #[test]
    fn texts_that_ids_are_compared_with_leave_no_place_out() {
        let id = EventId::from_parts(Timestamp::from_micros(1_700_000_000_000_000), [7; 10]);
        let text = id.to_string();
        let own = i64::from_str_radix(&text[5..20], 16).unwrap();
        let places = |after: &str, before: &str| places("evt_0", after, before);
        assert_eq!(places(&text, &text), (own, own));
        assert_eq!(places("", ""), (0, i64::MAX));
        assert_eq!(places("", &format!("{text}0")), (0, own));
        // Beginnings, other kinds of ids, and no ids at all.
        assert_eq!(
            places("evt_01", "evt_01"),
            (1 << 56, (1 << 56) | 0xff_ffff_ffff_ffff)
        );
        assert_eq!(
            places("evt_01-", "evt_01z"),
            (1 << 56, (1 << 56) | 0xff_ffff_ffff_ffff)
        );
        assert_eq!(places("acct_1", "run_1"), (0, i64::MAX));
        assert_eq!(places("run_1", "acct_1"), (i64::MAX, -1));
        assert_eq!(places("evt_é", "evt_0é").1, 0xfff_ffff_ffff_ffff);
    }
}
