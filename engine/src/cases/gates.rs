//! What keeps a rule from starting although its condition holds: how often it started, and what is under way.
//!
//! Owns the memory of the events before a case. Invariant: asked in the order of real starts: budget, throttle,
//! dedupe, mode.

use so_model::{
    Timestamp,
    case::Case,
    event::Event,
    rule::ModeKind,
    run::{Decision, Verdict},
    time::HOUR,
};

use crate::{
    decide::{CompiledRule, DecisionInput, FactValues, Facts, WorkspaceFacts},
    schedule::parse_duration,
};

/// Starts before the case, with their keys.
#[derive(Debug, Default)]
pub(super) struct Starts(Vec<Start>);

#[derive(Debug)]
struct Start {
    at: Timestamp,
    throttle: String,
    dedupe: Option<String>,
    /// False of a duplicate, which takes a place of the throttle all the same.
    is_run: bool,
}

impl Starts {
    /// Notes an event that came before, if the rule started on it.
    pub(super) fn note(
        &mut self,
        rule: &CompiledRule,
        decision: &Decision,
        event: &Event,
        workspace: &WorkspaceFacts,
        at: Timestamp,
    ) {
        let none = FactValues::default();
        let input = DecisionInput::new(event, workspace, at, &none);
        let facts = input.facts_for(rule, trigger_of(rule, decision));
        if decision.verdict != Verdict::Started {
            return;
        }
        let refused = self.refusal(rule, &facts, at).map(|(verdict, _)| verdict);
        let is_run = refused.is_none();
        if is_run || refused == Some(Verdict::Duplicate) {
            self.0.push(Start {
                at,
                throttle: rule.throttle_key(&facts).unwrap_or_default(),
                dedupe: rule.dedupe_key(&facts).ok().flatten().filter(|_| is_run),
                is_run,
            });
        }
    }

    /// Why the rule does not start now.
    pub(super) fn refuse(
        &self,
        rule: &CompiledRule,
        case: &Case,
        decision: &Decision,
        input: &DecisionInput<'_>,
    ) -> Option<(Verdict, String)> {
        let facts = input.facts_for(rule, trigger_of(rule, decision));
        self.refusal(rule, &facts, input.now)
            .or_else(|| mode(rule, case.running))
    }

    fn refusal(
        &self,
        rule: &CompiledRule,
        facts: &Facts<'_>,
        now: Timestamp,
    ) -> Option<(Verdict, String)> {
        let document = &rule.document;
        if let Some(max) = document.limits.max_runs_per_hour {
            let count = self.since(now.plus(-HOUR), None);
            if count >= max as usize {
                let reason = format!("the rule ran {count} times in the last hour, at most {max}");
                return Some((Verdict::OverBudget, reason));
            }
        }
        if let Some(throttle) = &document.throttle {
            let per = parse_duration(&throttle.per).unwrap_or(0);
            let key = rule.throttle_key(facts).unwrap_or_default();
            let count = self.since(now.plus(-per), Some(&key));
            if count >= throttle.max as usize {
                let reason = format!(
                    "throttled: {count} runs in the last {}, at most {}",
                    throttle.per, throttle.max
                );
                return Some((Verdict::Throttled, reason));
            }
        }
        let dedupe = document.dedupe.as_ref()?;
        let key = match rule.dedupe_key(facts) {
            Ok(key) => key?,
            Err(error) => return Some((Verdict::ConditionFailed, format!("/dedupe/key: {error}"))),
        };
        let since = dedupe
            .within
            .as_deref()
            .and_then(|within| parse_duration(within).ok())
            .map(|span| now.plus(-span));
        let seen = self.0.iter().any(|start| {
            start.dedupe.as_deref() == Some(&key) && since.is_none_or(|since| start.at > since)
        });
        seen.then(|| {
            let reason = format!("duplicate: the key {key} was seen before");
            (Verdict::Duplicate, reason)
        })
    }

    fn since(&self, since: Timestamp, key: Option<&str>) -> usize {
        let counts = |start: &&Start| {
            start.at > since && key.map_or(start.is_run, |key| start.throttle == key)
        };
        self.0.iter().filter(counts).count()
    }
}

fn mode(rule: &CompiledRule, running: u32) -> Option<(Verdict, String)> {
    let mode = &rule.document.mode;
    let reason = match mode.kind {
        ModeKind::Single if running > 0 => "a run is under way, and the mode is single".to_owned(),
        ModeKind::Parallel if mode.max.is_some_and(|max| running >= max) => {
            format!("{running} runs are under way, and no more may be")
        }
        ModeKind::Queued if mode.max.is_some_and(|max| running > max) => {
            format!("{running} runs are under way or wait, and no more may")
        }
        _ => return None,
    };
    Some((Verdict::ModeRefused, reason))
}

fn trigger_of(rule: &CompiledRule, decision: &Decision) -> usize {
    let named = |trigger: &crate::decide::CompiledTrigger| trigger.id == decision.trigger;
    rule.triggers.iter().position(named).unwrap_or(0)
}
