//! The clauses around a condition: whether the rule was there, what its triggers want, and what came after.
//!
//! Invariant: a clause that was not looked at has no `held`, and says so.

use serde_json::json;
use so_model::{
    Timestamp,
    event::Event,
    id::EventId,
    rule::ModeKind,
    run::Verdict,
    why::{Clause, ClauseKind, Distance, Recorded},
};
use so_store::decisions::StoredDecision;

use super::{Asked, later, moment_words, no_value};
use crate::decide::{CompiledRule, spoken};

pub(crate) fn clause(
    path: &str,
    what: ClauseKind,
    held: Option<bool>,
    expected: impl Into<String>,
    text: impl Into<String>,
) -> Clause {
    Clause {
        path: path.into(),
        what,
        held,
        expected: expected.into(),
        actual: no_value(),
        distance: None,
        text: text.into(),
        error: None,
        is_first: false,
        parts: Vec::new(),
    }
}

/// Whether the rule was there and on. A rule that was tried was both, whatever the record of switches says.
pub(super) fn presence(asked: &Asked, was_tried: &bool, at: Timestamp) -> Vec<Clause> {
    let row = &asked.history.rule;
    let zone = asked.workspace.time_zone;
    let wanted = "the rule to be there";
    let exists = if *was_tried {
        clause(
            "",
            ClauseKind::Exists,
            Some(true),
            wanted,
            "the rule was there",
        )
    } else if row.created_at > at {
        let by = row.created_at.since(at);
        Clause {
            actual: json!(row.created_at),
            distance: Some(Distance {
                by: Some(by as f64 / 1e6),
                unit: "seconds".into(),
                text: format!("saved {}", later(by)),
            }),
            ..clause(
                "",
                ClauseKind::Exists,
                Some(false),
                wanted,
                format!("the rule did not exist yet (saved {})", later(by)),
            )
        }
    } else if let Some(deleted) = asked.history.deleted_at.filter(|deleted| *deleted <= at) {
        let text = format!(
            "the rule had been deleted {} before",
            spoken(at.since(deleted))
        );
        clause("", ClauseKind::Exists, Some(false), wanted, text)
    } else {
        clause(
            "",
            ClauseKind::Exists,
            Some(true),
            wanted,
            "the rule was there",
        )
    };
    if exists.held == Some(false) {
        return vec![exists];
    }
    let wanted = "the rule to be on";
    let switched = match asked.history.was_enabled(at) {
        _ if *was_tried => clause(
            "/enabled",
            ClauseKind::Enabled,
            Some(true),
            wanted,
            "the rule was on",
        ),
        Some(true) => clause(
            "/enabled",
            ClauseKind::Enabled,
            Some(true),
            wanted,
            "the rule was on",
        ),
        Some(false) => {
            let since = asked
                .history
                .switches
                .iter()
                .rfind(|(since, _)| *since <= at);
            let since = since.map_or(row.created_at, |(since, _)| *since);
            let text = format!("the rule was off, since {}", moment_words(since, zone));
            clause("/enabled", ClauseKind::Enabled, Some(false), wanted, text)
        }
        None => {
            let text = "it was not recorded yet whether the rule was on";
            clause("/enabled", ClauseKind::Enabled, None, wanted, text)
        }
    };
    vec![exists, switched]
}

/// Every trigger and what it says about an event; holds if one does.
pub(crate) fn triggers(rule: &CompiledRule, event: &Event) -> Clause {
    let mut parts: Vec<Clause> = (0..rule.triggers.len())
        .map(|index| one_trigger(rule, index, event))
        .collect();
    let held = parts.iter().any(|part| part.held == Some(true));
    if parts.len() == 1
        && let Some(only) = parts.pop()
    {
        return only;
    }
    // Of several, the one that listens to such events at all says most.
    let telling = parts
        .iter()
        .find(|part| part.held == Some(held) && part.actual.is_null() != held)
        .or(parts.first());
    let text = telling.map_or_else(String::new, |part| part.text.clone());
    Clause {
        parts,
        ..clause(
            "/triggers",
            ClauseKind::Trigger,
            Some(held),
            "one of its triggers to listen",
            text,
        )
    }
}

pub(super) fn one_trigger(rule: &CompiledRule, index: usize, event: &Event) -> Clause {
    let path = format!("/triggers/{index}");
    let Some(trigger) = rule.triggers.get(index) else {
        return clause(
            "/triggers",
            ClauseKind::Trigger,
            None,
            "a trigger",
            "the rule has no such trigger",
        );
    };
    let expected = format!("{}: {}", trigger.kind, trigger.event_kinds.join(", "));
    match trigger.matches(event) {
        Ok(()) => {
            let text = format!("{} listens to it", trigger.kind);
            clause(&path, ClauseKind::Trigger, Some(true), expected, text)
        }
        Err(reason) => Clause {
            actual: json!(event.kind),
            ..clause(&path, ClauseKind::Trigger, Some(false), expected, reason)
        },
    }
}

/// The clause that a verdict is about.
pub(super) fn kind_of(verdict: Verdict) -> ClauseKind {
    match verdict {
        Verdict::TriggerMismatch | Verdict::Started => ClauseKind::Trigger,
        Verdict::LoopGuard => ClauseKind::Chain,
        // The condition held, so it was a key that could not be computed.
        Verdict::ConditionFailed => ClauseKind::Keys,
        Verdict::OverBudget => ClauseKind::Budget,
        Verdict::Throttled => ClauseKind::Throttle,
        Verdict::Duplicate => ClauseKind::Dedupe,
        Verdict::Debounced => ClauseKind::Debounce,
        Verdict::ModeRefused => ClauseKind::Mode,
    }
}

/// What is looked at after the condition, as far as the rule has it.
pub(super) fn after_condition(
    rule: &CompiledRule,
    stored: &StoredDecision,
    seen: &Recorded,
    first_seen: Option<(EventId, Timestamp)>,
    zone: chrono_tz::Tz,
) -> Vec<Clause> {
    let verdict = stored.decision.verdict;
    let reason = stored.decision.reason.as_str();
    let document = &rule.document;
    let refused = kind_of(verdict);
    let mut found = Vec::new();
    if refused == ClauseKind::Keys && reason.starts_with("a key") {
        found.push(clause(
            "",
            ClauseKind::Keys,
            Some(false),
            "keys that can be computed",
            reason,
        ));
    }
    if document.limits.max_runs_per_hour.is_some() || refused == ClauseKind::Budget {
        found.push(clause(
            "/limits/max_runs_per_hour",
            ClauseKind::Budget,
            None,
            "room in the hour's budget",
            "",
        ));
    }
    if let Some(throttle) = &document.throttle {
        let wanted = format!("fewer than {} starts in {}", throttle.max, throttle.per);
        let mut made = clause("/throttle", ClauseKind::Throttle, None, wanted, "");
        if refused == ClauseKind::Throttle {
            let used = seen.used.unwrap_or(i64::from(throttle.max));
            made.actual = json!(used);
            made.text = format!("{used} of {} in {}", throttle.max, throttle.per);
            if let Some(free_at) = seen.free_at {
                let text = format!("free again at {}", moment_words(free_at, zone));
                made.text = format!("{}, {text}", made.text);
                made.distance = Some(Distance {
                    by: Some(free_at.since(stored.at) as f64 / 1e6),
                    unit: "seconds".into(),
                    text,
                });
            }
        }
        found.push(made);
    }
    if document.dedupe.is_some() {
        let mut made = clause(
            "/dedupe",
            ClauseKind::Dedupe,
            None,
            "a key that was not seen before",
            "",
        );
        if refused == ClauseKind::Dedupe {
            made.actual = json!(seen.key);
            made.text = reason.to_owned();
            if let Some((event, at)) = first_seen.filter(|(_, at)| *at <= stored.at) {
                let text = format!("seen at {} ({event})", moment_words(at, zone));
                made.text = format!("{reason}: {text}");
                made.distance = Some(Distance {
                    by: Some(stored.at.since(at) as f64 / 1e6),
                    unit: "seconds".into(),
                    text,
                });
            }
        }
        found.push(made);
    }
    if document.debounce.is_some() {
        found.push(clause(
            "/debounce",
            ClauseKind::Debounce,
            None,
            "a quiet spell",
            "",
        ));
    }
    if document.mode.kind != ModeKind::Parallel || document.mode.max.is_some() {
        let mut made = clause(
            "/mode",
            ClauseKind::Mode,
            None,
            "a place for another run",
            "",
        );
        if refused == ClauseKind::Mode {
            made.actual = json!(seen.runs);
            let named: Vec<String> = seen.runs.iter().map(ToString::to_string).collect();
            made.text = match named.is_empty() {
                true => reason.to_owned(),
                false => format!("{reason}: {}", named.join(", ")),
            };
        }
        found.push(made);
    }
    let at = found.iter().position(|made| made.what == refused);
    for (index, made) in found.iter_mut().enumerate() {
        let (held, text) = match at {
            Some(at) if index < at => (Some(true), "it had room"),
            Some(at) if index == at => (Some(false), reason),
            _ => (None, "not looked at"),
        };
        made.held = held;
        if made.text.is_empty() {
            made.text = text.to_owned();
        }
    }
    found
}
