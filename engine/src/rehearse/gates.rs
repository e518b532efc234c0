//! Throttle, dedupe and mode as they stand now: looked at, not passed.
//!
//! Invariant: nothing is counted or remembered by looking.

use serde_json::json;
use so_model::{
    Timestamp,
    event::Event,
    rule::ModeKind,
    time::HOUR,
    why::{Clause, ClauseKind},
};
use so_store::{StoreError, Tx, rule_keys, runs};

use crate::{
    admit::{Keys, judge},
    config::RULE_RUNS_PER_HOUR_MAX,
    decide::{CompiledRule, FactValues, WorkspaceFacts},
    schedule::parse_duration,
    why::{gate_clause, moment_words},
};

/// Runs that are under way and looked at; a mode counts no more.
const ACTIVE_MAX: i64 = 1_001;

pub(super) fn keys(
    rule: &CompiledRule,
    trigger: usize,
    event: &Event,
    workspace: &WorkspaceFacts,
    now: Timestamp,
) -> Result<Keys, String> {
    judge(rule, trigger, event, workspace, now, &FactValues::default()).1
}

pub(super) async fn after_condition(
    tx: &mut Tx,
    rule: &CompiledRule,
    event: &Event,
    keys: Result<Keys, String>,
    now: Timestamp,
    zone: chrono_tz::Tz,
) -> Result<Vec<Clause>, StoreError> {
    let keys = match keys {
        Ok(keys) => keys,
        Err(reason) => {
            let wanted = "keys that can be computed";
            return Ok(vec![gate_clause(
                "",
                ClauseKind::Keys,
                Some(false),
                wanted,
                reason,
            )]);
        }
    };
    let mut found = Vec::new();
    if let Some(own) = rule.document.limits.max_runs_per_hour {
        let max = i64::from(own).min(RULE_RUNS_PER_HOUR_MAX);
        let used = runs::count_since(tx, rule.workspace, rule.id, now.plus(-HOUR)).await?;
        found.push(gate_clause(
            "/limits/max_runs_per_hour",
            ClauseKind::Budget,
            Some(used < max),
            format!("fewer than {max} starts in an hour"),
            format!("{used} of {max} in the last hour"),
        ));
    }
    if let Some(throttle) = &rule.document.throttle {
        let span = parse_duration(&throttle.per).unwrap_or(HOUR);
        let (used, oldest) =
            rule_keys::count_ticks(tx, rule.id, &keys.throttle, now.plus(-span)).await?;
        let held = used < i64::from(throttle.max);
        let free = oldest.filter(|_| !held).map_or_else(String::new, |oldest| {
            format!(", free again at {}", moment_words(oldest.plus(span), zone))
        });
        let text = format!("{used} of {} in {}{free}", throttle.max, throttle.per);
        let wanted = format!("fewer than {} starts in {}", throttle.max, throttle.per);
        let mut clause = gate_clause("/throttle", ClauseKind::Throttle, Some(held), wanted, text);
        clause.actual = json!(used);
        found.push(clause);
    }
    if rule.document.dedupe.is_some() {
        let known = rule_keys::find_remembered(tx, rule.id, &keys.dedupe, now).await?;
        // What the event itself left when it was new keeps no other run of it from anything.
        let known = known.filter(|(first, _)| *first != event.id);
        let text = match known {
            Some((event, at)) => format!(
                "the key “{}” was seen at {} ({event})",
                keys.dedupe,
                moment_words(at, zone)
            ),
            None => format!("the key “{}” was not seen before", keys.dedupe),
        };
        let wanted = "a key that was not seen before";
        let held = Some(known.is_none());
        found.push(gate_clause(
            "/dedupe",
            ClauseKind::Dedupe,
            held,
            wanted,
            text,
        ));
    }
    if let Some(debounce) = &rule.document.debounce {
        let text = format!(
            "it starts after {} without another event",
            debounce.duration
        );
        let wanted = "a quiet spell";
        found.push(gate_clause(
            "/debounce",
            ClauseKind::Debounce,
            Some(true),
            wanted,
            text,
        ));
    }
    let mode = &rule.document.mode;
    if matches!(mode.kind, ModeKind::Single) || mode.max.is_some() {
        let active = runs::list_active(tx, rule.id, &keys.mode, ACTIVE_MAX).await?;
        let under_way = active.len();
        let most = mode.max.map_or(1, |max| max as usize);
        let held = match mode.kind {
            ModeKind::Single => under_way == 0,
            ModeKind::Parallel => under_way < most,
            ModeKind::Queued => under_way <= most,
            ModeKind::Restart => true,
        };
        let text = format!("{under_way} runs for this key are under way");
        let wanted = "a place for another run";
        found.push(gate_clause(
            "/mode",
            ClauseKind::Mode,
            Some(held),
            wanted,
            text,
        ));
    }
    Ok(found)
}
