//! Refusals: why candidate rules did not start on an event.
//!
//! Owns how they are packed: one row for each event, with one line for each refusal. Invariant: a line is never
//! changed; what is decided again is a later line about the same trigger, and readers take the latest.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use so_model::{
    id::{EventId, RuleId, WorkspaceId},
    run::{ConditionTrace, Decision, Verdict},
    time::Timestamp,
    why::Recorded,
};

use super::event_lists;
use crate::{Result, Row, Sql, StoreError, Tx, args, bulk::Shape, value::Args};

/// Events among which the refusals of a rule are looked for; a scan of some 1.5 KB each at 40 candidates.
const LOOKED_AT: i64 = 50_000;
/// How many of them at a time: a rule that refuses often is done after the first.
const LOOKED_AT_TOGETHER: i64 = 1_000;
/// Lines of so many bytes are squeezed: beyond it a row no longer shares its page, and they are much alike.
const SQUEEZED_FROM: usize = 1_024;
/// Before what was squeezed.
const SQUEEZED: &str = "lz4:";
/// The most that a row's lines are taken to hold when they are unsqueezed; thousands of refusals are a few megabytes.
const LINES_MAX: usize = 64 << 20;

/// A decision with the event it is about.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct StoredDecision {
    /// The event.
    pub event: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// The decision.
    #[serde(flatten)]
    pub decision: Decision,
    /// What it looked at beside the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<Recorded>,
}

/// A decision that is to be stored.
#[derive(Debug)]
pub struct NewDecision {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The event.
    pub event: EventId,
    /// When it was taken.
    pub at: Timestamp,
    /// The decision.
    pub decision: Decision,
    /// What it looked at beside the event and the version.
    pub seen: Option<Recorded>,
}

/// What a line holds: trigger, version, verdict, moment in microseconds, sentence, trace, what was looked at.
type Line = (
    String,
    i64,
    Verdict,
    i64,
    String,
    Option<Trace>,
    Option<Recorded>,
);

/// A trace as a line holds it.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Trace {
    /// A clause that did not hold and whose sentence is that of the line: its place and what it saw. Nearly all are such.
    Clause(String, serde_json::Value),
    /// Any other.
    Whole(ConditionTrace),
}

/// The same, to be written.
#[derive(serde::Serialize)]
#[serde(untagged)]
enum TraceRef<'a> {
    Clause(&'a str, &'a serde_json::Value),
    Whole(&'a ConditionTrace),
}

impl<'a> TraceRef<'a> {
    fn of(trace: &'a ConditionTrace) -> Self {
        let is_clause = trace.held == Some(false)
            && trace.text.is_empty()
            && trace.error.is_none()
            && trace.parts.is_empty();
        match is_clause {
            true => Self::Clause(&trace.path, &trace.saw),
            false => Self::Whole(trace),
        }
    }
}

impl Trace {
    fn read(self) -> ConditionTrace {
        match self {
            Self::Whole(trace) => trace,
            Self::Clause(path, saw) => ConditionTrace {
                path,
                held: Some(false),
                saw,
                text: String::new(),
                error: None,
                parts: Vec::new(),
            },
        }
    }
}

const APPEND: Shape = Shape {
    before: "INSERT INTO refusals (event_id, workspace_id, rules, lines, has_seen) VALUES ",
    columns: 5,
    after: " ON CONFLICT (event_id) DO UPDATE SET rules = refusals.rules || excluded.rules, \
            lines = refusals.lines || excluded.lines, \
            has_seen = CASE WHEN excluded.has_seen = 1 THEN excluded.has_seen ELSE refusals.has_seen END",
    fixed: 0,
};

/// What is to be written about one event.
struct Packed {
    workspace: WorkspaceId,
    rules: String,
    lines: Vec<u8>,
    has_seen: bool,
}

/// Stores decisions; one about a trigger that was decided before takes the former's place.
pub async fn insert_many(tx: &mut Tx, decisions: &[NewDecision]) -> Result<()> {
    let mut packed: BTreeMap<EventId, Packed> = BTreeMap::new();
    for new in decisions {
        let one = packed.entry(new.event).or_insert_with(|| Packed {
            workspace: new.workspace,
            rules: String::new(),
            lines: Vec::new(),
            has_seen: false,
        });
        let decision = &new.decision;
        // Writing to a text cannot fail.
        let _ = writeln!(one.rules, "{}", decision.rule);
        // JSON has no line break but between its tokens, and none is written there.
        let line = (
            &decision.trigger,
            decision.version,
            decision.verdict,
            new.at.micros(),
            &decision.reason,
            decision.trace.as_ref().map(TraceRef::of),
            &new.seen,
        );
        serde_json::to_writer(&mut one.lines, &line)
            .map_err(|error| StoreError::corrupt("refusal", error))?;
        one.lines.push(b'\n');
        one.has_seen |= new.seen.is_some();
    }
    let mut rows = Vec::with_capacity(packed.len());
    for (event, one) in packed {
        let lines = squeezed(one.lines)?;
        rows.push(args![event, one.workspace, one.rules, lines, one.has_seen]);
    }
    APPEND.run(tx, &Args::new(), rows).await?;
    Ok(())
}

/// Lines as they are stored: many of them as one, so that they need a page less or two.
fn squeezed(lines: Vec<u8>) -> Result<String> {
    if lines.len() < SQUEEZED_FROM {
        return String::from_utf8(lines).map_err(|error| StoreError::corrupt("refusal", error));
    }
    let mut text = SQUEEZED.to_owned();
    STANDARD_NO_PAD.encode_string(lz4_flex::compress_prepend_size(&lines), &mut text);
    text.push('\n');
    Ok(text)
}

/// The lines again.
fn unsqueezed(stored: &str) -> Result<Cow<'_, str>> {
    if !stored.contains(SQUEEZED) {
        return Ok(Cow::Borrowed(stored));
    }
    let corrupt = |error: &str| StoreError::corrupt("refusal", error.to_owned());
    let mut lines = String::new();
    for line in stored.lines() {
        let Some(packed) = line.strip_prefix(SQUEEZED) else {
            lines.push_str(line);
            lines.push('\n');
            continue;
        };
        let packed = STANDARD_NO_PAD
            .decode(packed)
            .map_err(|error| StoreError::corrupt("refusal", error))?;
        let (size, _) = lz4_flex::block::uncompressed_size(&packed)
            .map_err(|error| StoreError::corrupt("refusal", error))?;
        if size > LINES_MAX {
            return Err(corrupt("it claims to be too long"));
        }
        let plain = lz4_flex::decompress_size_prepended(&packed)
            .map_err(|error| StoreError::corrupt("refusal", error))?;
        lines.push_str(std::str::from_utf8(&plain).map_err(|_| corrupt("it is no text"))?);
    }
    Ok(Cow::Owned(lines))
}

/// The refusals of a row `event_id, rules, lines` by rule and trigger, of one rule or of all.
pub(super) fn unpack(row: &Row, rule: Option<RuleId>) -> Result<Vec<StoredDecision>> {
    let (event, rules, lines): (EventId, _, _) = (row.id(0)?, row.text(1)?, row.text(2)?);
    let lines = unsqueezed(&lines)?;
    let wanted = rule.map(|rule| rule.to_string());
    let mut latest: BTreeMap<(RuleId, String), StoredDecision> = BTreeMap::new();
    for (name, line) in rules.lines().zip(lines.lines()) {
        if wanted.as_deref().is_some_and(|wanted| wanted != name) {
            continue;
        }
        let rule = name
            .parse()
            .map_err(|error| StoreError::corrupt("id", error))?;
        let stored = read(event, rule, line)?;
        latest.insert((rule, stored.decision.trigger.clone()), stored);
    }
    Ok(latest.into_values().collect())
}

fn read(event: EventId, rule: RuleId, line: &str) -> Result<StoredDecision> {
    let (trigger, version, verdict, at, reason, trace, seen): Line =
        serde_json::from_str(line).map_err(|error| StoreError::corrupt("refusal", error))?;
    let mut trace = trace.map(Trace::read);
    // The sentence of the clause that failed is kept once, as the reason.
    if let Some(trace) = trace.as_mut().filter(|trace| trace.text.is_empty()) {
        trace.text.clone_from(&reason);
    }
    Ok(StoredDecision {
        event,
        at: Timestamp::from_micros(at),
        decision: Decision {
            rule,
            version,
            trigger,
            verdict,
            trace,
            reason,
        },
        seen,
    })
}

/// Decisions about one event, by rule and trigger.
pub async fn list_for_event(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    event: EventId,
) -> Result<Vec<StoredDecision>> {
    let row = sql
        .one(
            "SELECT event_id, rules, lines FROM refusals WHERE workspace_id = $1 AND event_id = $2",
            args![workspace, event],
        )
        .await?;
    row.map_or_else(|| Ok(Vec::new()), |row| unpack(&row, None))
}

const OF_EVENTS: Shape = Shape {
    before: "SELECT event_id, rules, lines FROM refusals WHERE workspace_id || '' = $1 AND event_id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

/// Decisions about one rule and some events.
///
/// The workspace is hidden from the planners: an id is narrower than it.
pub async fn list_for_rule_and_events(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    events: &[EventId],
) -> Result<Vec<StoredDecision>> {
    let rows = events.iter().map(|event| args![*event]).collect();
    let rows = OF_EVENTS.all(sql, &args![workspace], rows).await?;
    let mut found = Vec::new();
    for row in &rows {
        found.extend(unpack(row, Some(rule))?);
    }
    Ok(found)
}

/// The latest decisions about one rule, the newest event first; among the workspace's newest 50 000 events.
pub async fn list_for_rule(
    sql: &mut dyn Sql,
    workspace: WorkspaceId,
    rule: RuleId,
    limit: i64,
) -> Result<Vec<StoredDecision>> {
    let mut found: Vec<StoredDecision> = Vec::new();
    let wanted = usize::try_from(limit).unwrap_or(usize::MAX);
    let (mut before, mut looked_at) = (String::new(), 0);
    while looked_at < LOOKED_AT && found.len() < wanted {
        let ids = event_lists::newest_ids(sql, workspace, &before, LOOKED_AT_TOGETHER).await?;
        let Some(last) = ids.last() else { break };
        before = last.to_string();
        looked_at += LOOKED_AT_TOGETHER;
        let rows = ids.iter().map(|id| args![*id]).collect();
        let mut rows = REFUSED.all(sql, &args![rule], rows).await?;
        rows.sort_by_cached_key(|row| std::cmp::Reverse(row.text(0).unwrap_or_default()));
        for row in &rows {
            found.extend(unpack(row, Some(rule))?);
        }
    }
    found.truncate(wanted);
    Ok(found)
}

const REFUSED: Shape = Shape {
    before: "SELECT event_id, rules, lines FROM refusals WHERE rules LIKE '%' || $1 || '%' AND event_id IN (",
    columns: 1,
    after: ")",
    fixed: 1,
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn many_lines_are_squeezed_and_come_back_with_those_appended_to_them() {
        let few = b"[1]\n".to_vec();
        assert_eq!(squeezed(few).unwrap(), "[1]\n");
        let line =
            "[\"t\",1,\"condition_failed\",1,\"likes is 50, wanted more than 100\",null,null]\n";
        let many = line.repeat(36);
        let stored = squeezed(many.clone().into_bytes()).unwrap();
        assert!(stored.len() < many.len() / 5, "{} bytes", stored.len());
        let appended = format!("{stored}[2]\n{stored}");
        assert_eq!(unsqueezed(&appended).unwrap(), format!("{many}[2]\n{many}"));
    }

    #[test]
    fn a_trace_comes_back_as_it_was_whatever_its_shape() {
        let clause = ConditionTrace {
            held: Some(false),
            saw: serde_json::json!([1, "x"]),
            text: String::new(),
            ..ConditionTrace::unconditional()
        };
        let whole = ConditionTrace {
            parts: vec![clause.clone()],
            error: Some("no number".into()),
            ..clause.clone()
        };
        let told = ConditionTrace::unconditional();
        for trace in [clause, whole, told] {
            let text = serde_json::to_string(&TraceRef::of(&trace)).unwrap();
            let read: Trace = serde_json::from_str(&text).unwrap();
            assert_eq!(read.read(), trace, "{text}");
        }
    }

    #[test]
    fn what_was_not_squeezed_by_us_is_an_error() {
        for bad in ["lz4:!", "lz4:////fwAA", "lz4:AAAA"] {
            assert!(unsqueezed(bad).is_err(), "{bad}");
        }
    }
}
