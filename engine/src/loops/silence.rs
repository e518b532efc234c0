//! Silence: a rule that should have started, and did not.
//!
//! Owns when a rule counts as silent. Invariant: a silence is one event, however often it is looked at and by
//! however many processes: its identity is the moment since which nothing started.

use serde_json::json;
use so_model::{
    IdSource as _, Timestamp,
    event::{NewEvent, kind},
    rule::{RuleDocument, SILENT_AFTER_LEARNED},
    time::{DAY, HOUR},
};
use so_store::{StoreError, Tx, rules, run_ways, timers, timers::Timer};

use super::timers::rule_of;
use crate::{admit::Admission, engine::Engine, schedule::parse_duration};

/// Timers that look whether a rule is silent.
pub const TIMER_SILENCE: &str = "silence";
/// Spans between starts that are learned from.
const SPANS: usize = 20;
/// Fewer say nothing about how often a rule starts.
const SPANS_MIN: usize = 5;
/// Silent is what takes this many times as long as the longest of the learned spans.
const PATIENCE: i64 = 3;
/// Bounds of what is learned: bursts teach no alarm of minutes, and a yearly rule is stated, not learned.
const LEARNED_MIN: i64 = HOUR;
const LEARNED_MAX: i64 = 90 * DAY;
/// A rule that has too few starts is looked at again after this.
const LOOK_AGAIN: i64 = HOUR;
/// Member of the timer: the moment from which on silence counts.
const SINCE: &str = "since";

/// Span without a start after which a rule is silent, from its statement and its latest starts, newest first.
///
/// None if nothing is stated, or not enough is known.
pub fn silent_after(document: &RuleDocument, starts: &[Timestamp]) -> Option<i64> {
    let stated = document.silent_after.as_deref()?;
    if stated != SILENT_AFTER_LEARNED {
        return parse_duration(stated).ok();
    }
    let spans = starts.windows(2).take(SPANS);
    let spans: Vec<i64> = spans.map(|pair| pair[0].since(pair[1])).collect();
    if spans.len() < SPANS_MIN {
        return None;
    }
    let longest = spans.into_iter().max()?;
    Some((longest * PATIENCE).clamp(LEARNED_MIN, LEARNED_MAX))
}

impl Engine {
    /// Makes a rule's timer that of its live version; the time without a start counts from now.
    pub(super) async fn sync_silence(
        &self,
        tx: &mut Tx,
        rule: &rules::RuleRow,
        document: &RuleDocument,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        timers::delete_for(tx, TIMER_SILENCE, &rule.id.to_string()).await?;
        if !rule.is_enabled || document.silent_after.is_none() {
            return Ok(());
        }
        let timer = Timer {
            id: self.ids.new_id(),
            workspace: rule.workspace,
            kind: TIMER_SILENCE.into(),
            subject: rule.id.to_string(),
            slot: String::new(),
            generation: rule.generation,
            due_at: now.plus(silent_after(document, &[]).unwrap_or(LOOK_AGAIN)),
            doc: json!({ SINCE: now.micros() }),
        };
        timers::put(tx, &timer).await
    }

    /// Looks whether a rule is silent.
    pub(super) async fn fire_silence(
        &self,
        tx: &mut Tx,
        timer: &Timer,
        now: Timestamp,
    ) -> Result<Vec<Admission>, StoreError> {
        let Some(rule) = rule_of(tx, timer).await? else {
            timers::delete(tx, timer.id).await?;
            return Ok(Vec::new());
        };
        let Ok(live) = self
            .rule_version(rule.workspace, rule.id, rule.version)
            .await?
        else {
            timers::delete(tx, timer.id).await?;
            return Ok(Vec::new());
        };
        let starts = run_ways::latest_starts(tx, rule.workspace, rule.id, SPANS + 1).await?;
        let last = starts.first().copied();
        // Old runs are deleted; what was known of them stays in the timer.
        let known = timer.doc[SINCE].as_i64().map(Timestamp::from_micros);
        let since = last.max(known).unwrap_or(now);
        let mut next = timer.clone();
        next.doc = json!({ SINCE: since.micros() });
        let Some(span) = silent_after(&live.document, &starts) else {
            next.due_at = now.plus(LOOK_AGAIN);
            timers::put(tx, &next).await?;
            return Ok(Vec::new());
        };
        if since.plus(span) > now {
            next.due_at = since.plus(span);
            timers::put(tx, &next).await?;
            return Ok(Vec::new());
        }
        let is_learned = live.document.silent_after.as_deref() == Some(SILENT_AFTER_LEARNED);
        let data = json!({
            "rule": {"id": rule.id, "name": rule.name}, "last_start": last,
            "silent_for_s": now.since(since) / so_model::time::SECOND,
            "expected_within_s": span / so_model::time::SECOND, "is_learned": is_learned});
        let event = NewEvent::new(rule.workspace, kind::RULE_SILENT, data)
            .from_source(
                format!("rule/{}/silence", rule.id),
                format!("since@{since}"),
            )
            .about(rule.id);
        next.due_at = now.plus(span);
        timers::put(tx, &next).await?;
        Ok(vec![self.admit(tx, event).await?])
    }
}
