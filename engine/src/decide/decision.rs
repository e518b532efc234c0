//! The decision about one rule and one event.
//!
//! Owns the order: trigger, loop guard, condition. Must not know modes,
//! throttles or budgets, which need the store. Invariant: a pure function of
//! the rule's version and the input.

use so_model::{
    event::Event,
    run::{ConditionTrace, Decision, Verdict},
};

use super::{
    compiled::CompiledRule,
    condition::Fault,
    facts::{DecisionInput, FactRequest, Facts},
};

/// Longest chain of consequences, whatever a rule asks for.
pub const MAX_CAUSE_DEPTH: u32 = 16;

/// Times one rule may stand in a chain: twice is a plausible correction, a
/// third time a circle.
pub const MAX_SAME_RULE: usize = 3;

/// Rules of a chain that are named in a reason.
const MAX_NAMED: usize = 6;

impl<'a> DecisionInput<'a> {
    /// What a rule sees of the event through one of its triggers.
    pub fn facts_for(&'a self, rule: &'a CompiledRule, trigger: usize) -> Facts<'a> {
        Facts::new(self, rule.trigger_facts(trigger))
    }
}

/// The facts that the rule's own condition needs, each once.
pub fn facts_needed(
    rule: &CompiledRule,
    trigger: usize,
    input: &DecisionInput<'_>,
) -> Vec<FactRequest> {
    let Some(condition) = rule.condition() else {
        return Vec::new();
    };
    condition.facts_needed(&input.facts_for(rule, trigger))
}

/// Decides without writing anything down: for counting, and for bit sets of
/// near misses whose words are made on demand.
pub fn verdict(rule: &CompiledRule, trigger: usize, input: &DecisionInput<'_>) -> Verdict {
    match before_condition(rule, trigger, input.event) {
        Some((verdict, _)) => verdict,
        None => {
            let facts = input.facts_for(rule, trigger);
            let held = rule
                .condition()
                .is_none_or(|condition| condition.holds(&facts).unwrap_or(false));
            if held {
                Verdict::Started
            } else {
                Verdict::ConditionFailed
            }
        }
    }
}

/// A decision in short, for many events: no words are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance<'a> {
    /// The rule starts, as far as its condition goes.
    Starts,
    /// It does not; with the place of the clause that failed first, where the condition did.
    Refused(Verdict, Option<&'a str>),
    /// It hangs on a fact that was not handed in.
    Unsure,
}

/// Decides in short.
pub fn glance<'a>(rule: &'a CompiledRule, trigger: usize, input: &DecisionInput<'_>) -> Glance<'a> {
    if let Some((verdict, _)) = before_condition(rule, trigger, input.event) {
        return Glance::Refused(verdict, None);
    }
    let Some(condition) = rule.condition() else {
        return Glance::Starts;
    };
    let facts = input.facts_for(rule, trigger);
    match condition.holds(&facts) {
        Ok(true) => Glance::Starts,
        Err(Fault::UnknownFact) => Glance::Unsure,
        _ => {
            let first = condition.first_failing(&facts);
            Glance::Refused(Verdict::ConditionFailed, Some(first.place()))
        }
    }
}

/// Decides and explains.
pub fn decide(rule: &CompiledRule, trigger: usize, input: &DecisionInput<'_>) -> Decision {
    let told = |verdict, trace, reason| Decision {
        rule: rule.id,
        version: rule.version,
        trigger: rule.trigger_facts(trigger).id.to_owned(),
        verdict,
        trace,
        reason,
    };
    if let Some((verdict, reason)) = before_condition(rule, trigger, input.event) {
        return told(verdict, None, reason);
    }
    let trace = match rule.condition() {
        Some(condition) => condition.explain(&input.facts_for(rule, trigger)),
        None => ConditionTrace::unconditional(),
    };
    if trace.held == Some(true) && trace.error.is_none() {
        let reason = trace.text.clone();
        return told(Verdict::Started, Some(trace), reason);
    }
    let reason = why_not(&trace);
    told(Verdict::ConditionFailed, Some(trace), reason)
}

/// Decides, and keeps what must be kept: the whole trace of a start; of a refusal the clause that failed first.
///
/// The others can be weighed later, from the version, the event and the recorded facts.
pub fn settle(rule: &CompiledRule, trigger: usize, input: &DecisionInput<'_>) -> Decision {
    let told = |verdict, trace, reason| Decision {
        rule: rule.id,
        version: rule.version,
        trigger: rule.trigger_facts(trigger).id.to_owned(),
        verdict,
        trace,
        reason,
    };
    if let Some((verdict, reason)) = before_condition(rule, trigger, input.event) {
        return told(verdict, None, reason);
    }
    let Some(condition) = rule.condition() else {
        let trace = ConditionTrace::unconditional();
        let reason = trace.text.clone();
        return told(Verdict::Started, Some(trace), reason);
    };
    let facts = input.facts_for(rule, trigger);
    if condition.holds(&facts) == Ok(true) {
        let trace = condition.explain(&facts);
        let reason = trace.text.clone();
        return told(Verdict::Started, Some(trace), reason);
    }
    let mut trace = condition.first_failing(&facts).explain(&facts);
    trace.parts = Vec::new();
    let reason = match &trace.error {
        Some(error) => format!("{}: {error}", trace.text),
        None => std::mem::take(&mut trace.text),
    };
    told(Verdict::ConditionFailed, Some(trace), reason)
}

fn before_condition(
    rule: &CompiledRule,
    trigger: usize,
    event: &Event,
) -> Option<(Verdict, String)> {
    let Some(compiled) = rule.triggers.get(trigger) else {
        return Some((
            Verdict::TriggerMismatch,
            "the rule has no such trigger".into(),
        ));
    };
    if let Err(reason) = compiled.matches(event) {
        return Some((Verdict::TriggerMismatch, reason));
    }
    loop_guard(rule, event).map(|reason| (Verdict::LoopGuard, reason))
}

fn loop_guard(rule: &CompiledRule, event: &Event) -> Option<String> {
    let cause = &event.cause;
    let deepest = rule
        .document
        .limits
        .max_depth
        .unwrap_or(MAX_CAUSE_DEPTH)
        .min(MAX_CAUSE_DEPTH);
    let times = cause
        .rules
        .iter()
        .filter(|on_the_way| **on_the_way == rule.id)
        .count();
    let what = if cause.depth > deepest {
        format!(
            "the chain of consequences is {} long, at most {deepest}",
            cause.depth
        )
    } else if times >= MAX_SAME_RULE {
        format!("this rule is {times} times in the chain of consequences already")
    } else {
        return None;
    };
    let from = cause.rules.len().saturating_sub(MAX_NAMED);
    let named: Vec<String> = cause.rules[from..]
        .iter()
        .map(ToString::to_string)
        .collect();
    let dots = if from > 0 { "… → " } else { "" };
    Some(format!("{what}: {dots}{}", named.join(" → ")))
}

/// The sentence of the part that settled the matter. Only in `all` does one
/// part settle that the whole does not hold.
fn why_not(trace: &ConditionTrace) -> String {
    let mut at = trace;
    while let Some(part) = settling(at) {
        at = part;
    }
    match &at.error {
        Some(error) => format!("{}: {error}", at.text),
        None => at.text.clone(),
    }
}

fn settling(at: &ConditionTrace) -> Option<&ConditionTrace> {
    if at.error.is_some() {
        return at.parts.iter().find(|part| part.error.is_some());
    }
    let first = at.parts.first()?;
    let of_all = first.path.strip_prefix(&at.path)?.starts_with("/all/");
    let failed = |part: &&ConditionTrace| part.held == Some(false) && part.error.is_none();
    at.parts.iter().rfind(failed).filter(|_| of_all)
}
