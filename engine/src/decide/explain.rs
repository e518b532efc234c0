//! Traces: how a condition came out, part by part, in sentences.
//!
//! Owns the words. Must not decide anything by itself: leaves ask the same
//! functions as `holds`. Invariant: a trace without an error says what `holds`
//! says; one with an error says "did not hold".

use serde_json::Value;
use so_model::run::ConditionTrace;

use super::{
    condition::{Condition, Fault, Kind},
    facts::Facts,
    say::{cut, shortened, shown_seen},
};

/// Shorter names for what authors mostly compare.
const PREFIXES: [&str; 2] = ["event.data.", "event."];

impl Condition {
    /// Looks at the condition as `holds` does and writes down what was seen.
    pub fn explain(&self, facts: &Facts<'_>) -> ConditionTrace {
        self.traced(facts).0
    }

    pub(super) fn traced(&self, facts: &Facts<'_>) -> (ConditionTrace, Result<bool, Fault>) {
        match &self.kind {
            Kind::All(parts) => self.joined(parts, facts, false),
            Kind::Any(parts) => self.joined(parts, facts, true),
            Kind::Not(part) => {
                let (inner, result) = part.traced(facts);
                let result = result.map(|held| !held);
                let text = match &result {
                    Ok(true) => "the part does not hold, as wanted",
                    Ok(false) => "the part holds, wanted it not to",
                    Err(_) => "the part could not be decided",
                };
                (
                    self.trace(&result, Value::Null, text.to_owned(), vec![inner]),
                    result,
                )
            }
            Kind::Compare { path, field, test } => {
                let seen = path.seen(facts);
                let result = test.holds(&seen).map_err(Fault::Type);
                let name = PREFIXES
                    .iter()
                    .find_map(|prefix| field.strip_prefix(prefix));
                let text = format!(
                    "{} is {}, wanted {}",
                    name.unwrap_or(field),
                    shown_seen(&seen),
                    test.wanted()
                );
                (
                    self.trace(&result, shortened(&seen), text, Vec::new()),
                    result,
                )
            }
            Kind::Time(window) => {
                let (now, zone) = (facts.input.now, facts.input.workspace.time_zone);
                let result = Ok(window.holds(now, zone));
                let saw = window.saw(now, zone);
                let text = format!("it is {saw}, wanted {}", window.wanted());
                (
                    self.trace(&result, Value::String(saw), text, Vec::new()),
                    result,
                )
            }
            Kind::Fact(fact) => {
                let (seen, result) = fact.holds(facts);
                let known = match &result {
                    Err(Fault::UnknownFact | Fault::Script(_)) => "unknown".to_owned(),
                    _ => shown_seen(&seen),
                };
                let text = format!("{} is {known}, wanted {}", fact.name, fact.test.wanted());
                (
                    self.trace(&result, shortened(&seen), text, Vec::new()),
                    result,
                )
            }
            Kind::Expr(expr) => {
                let result = expr.holds(facts);
                let saw = result
                    .as_ref()
                    .map_or(Value::Null, |held| Value::Bool(*held));
                let text = match &result {
                    Ok(held) => format!("`{}` is {held}, wanted true", cut(&expr.source)),
                    Err(_) => format!("`{}` failed, wanted true", cut(&expr.source)),
                };
                (self.trace(&result, saw, text, Vec::new()), result)
            }
        }
    }

    fn joined(
        &self,
        parts: &[Condition],
        facts: &Facts<'_>,
        settles: bool,
    ) -> (ConditionTrace, Result<bool, Fault>) {
        let mut traces = Vec::with_capacity(parts.len());
        let (mut settled, mut fault) = (None, None);
        for (index, part) in parts.iter().enumerate() {
            if settled.is_some() {
                traces.push(part.untouched());
                continue;
            }
            let (trace, result) = part.traced(facts);
            traces.push(trace);
            match result {
                Ok(held) if held == settles => settled = Some(index),
                Ok(_) => {}
                Err(error) => fault = fault.or(Some((index, error))),
            }
        }
        let of = parts.len();
        let (text, result) = match (settled, fault) {
            (Some(index), _) if settles => (format!("part {} of {of} holds", index + 1), Ok(true)),
            (Some(index), _) => (
                format!("part {} of {of} does not hold", index + 1),
                Ok(false),
            ),
            (None, Some((index, error))) => (
                format!("part {} of {of} could not be decided", index + 1),
                Err(error),
            ),
            (None, None) if of == 0 => (
                if settles {
                    "no part, so none holds"
                } else {
                    "no part, so all hold"
                }
                .to_owned(),
                Ok(!settles),
            ),
            (None, None) if settles => (format!("none of {of} parts holds"), Ok(false)),
            (None, None) => (format!("all {of} parts hold"), Ok(true)),
        };
        (self.trace(&result, Value::Null, text, traces), result)
    }

    fn trace(
        &self,
        result: &Result<bool, Fault>,
        saw: Value,
        text: String,
        parts: Vec<ConditionTrace>,
    ) -> ConditionTrace {
        ConditionTrace {
            path: self.pointer.clone(),
            held: Some(*result.as_ref().unwrap_or(&false)),
            saw,
            text,
            error: result.as_ref().err().map(ToString::to_string),
            parts,
        }
    }

    fn untouched(&self) -> ConditionTrace {
        ConditionTrace {
            path: self.pointer.clone(),
            held: None,
            saw: Value::Null,
            text: "not looked at".into(),
            error: None,
            parts: Vec::new(),
        }
    }
}
