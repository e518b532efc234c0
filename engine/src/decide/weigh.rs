//! Every clause of a condition, looked at whole: for questions asked later.
//!
//! Owns which clause settled the matter, and how far it was from holding. Must not decide anything by itself:
//! leaves ask the same code as `holds`. Invariant: the clause marked here is the one that a refusal names.

use serde_json::Value;
use so_model::{
    run::ConditionTrace,
    why::{Clause, ClauseKind},
};

use super::{
    condition::{Condition, Fault, Kind},
    facts::{FactValues, Facts},
    path::Path,
};

impl Condition {
    /// The clause that failed first, as `holds` goes; itself where no single part settled it.
    pub(super) fn first_failing(&self, facts: &Facts<'_>) -> &Self {
        let (parts, settles) = match &self.kind {
            Kind::All(parts) => (parts.as_slice(), Some(false)),
            Kind::Any(parts) => (parts.as_slice(), None),
            Kind::Not(part) => (std::slice::from_ref(part.as_ref()), None),
            _ => return self,
        };
        let mut faulty = None;
        for part in parts {
            match part.holds(facts) {
                Ok(held) if Some(held) == settles => return part.first_failing(facts),
                Ok(_) => {}
                Err(_) => faulty = faulty.or(Some(part)),
            }
        }
        faulty.map_or(self, |part| part.first_failing(facts))
    }

    /// Whether it reads nothing but the event, so that event and version are all there is to keep.
    pub(crate) fn is_about_event_only(&self) -> bool {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => parts.iter().all(Self::is_about_event_only),
            Kind::Not(part) => part.is_about_event_only(),
            Kind::Compare { path, .. } => Path::is_of_event(path),
            Kind::Time(_) | Kind::Fact(_) | Kind::Expr(_) => false,
        }
    }

    /// Looks at every part, also at those that no longer matter; marks the one that settled the matter.
    pub fn weigh(&self, facts: &Facts<'_>) -> Clause {
        let (mut clause, result) = self.weighed(facts);
        if result != Ok(true) {
            mark_first(&mut clause);
        }
        clause
    }

    /// The values of facts that a trace of this condition saw, by the keys of their requests.
    pub fn facts_of(&self, trace: &ConditionTrace, facts: &Facts<'_>) -> FactValues {
        let mut found = FactValues::default();
        self.gather_seen(trace, facts, &mut found);
        found
    }

    fn gather_seen(&self, trace: &ConditionTrace, facts: &Facts<'_>, found: &mut FactValues) {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                for (part, trace) in parts.iter().zip(&trace.parts) {
                    part.gather_seen(trace, facts, found);
                }
            }
            Kind::Not(part) => {
                if let Some(trace) = trace.parts.first() {
                    part.gather_seen(trace, facts, found);
                }
            }
            Kind::Fact(fact) if trace.held.is_some() => {
                if let Ok(request) = fact.request(facts) {
                    found.insert(request.key, trace.saw.clone());
                }
            }
            _ => {}
        }
    }

    fn weighed(&self, facts: &Facts<'_>) -> (Clause, Result<bool, Fault>) {
        match &self.kind {
            Kind::All(parts) => self.weighed_parts(parts, facts, ClauseKind::All),
            Kind::Any(parts) => self.weighed_parts(parts, facts, ClauseKind::Any),
            Kind::Not(part) => {
                let (inner, result) = part.weighed(facts);
                let result = result.map(|held| !held);
                let text = match &result {
                    Ok(true) => "the part does not hold, as wanted".to_owned(),
                    Ok(false) => format!("the part holds, wanted it not to: {}", inner.text),
                    Err(_) => "the part could not be decided".to_owned(),
                };
                let expected = "the part not to hold".to_owned();
                let clause = self.clause(ClauseKind::Not, &result, expected, text, vec![inner]);
                (clause, result)
            }
            _ => self.weighed_leaf(facts),
        }
    }

    fn weighed_leaf(&self, facts: &Facts<'_>) -> (Clause, Result<bool, Fault>) {
        let (trace, result) = self.traced(facts);
        let failed = result == Ok(false);
        let (what, expected, distance) = match &self.kind {
            Kind::Compare { path, test, .. } => {
                let distance = failed.then(|| test.distance(&path.seen(facts))).flatten();
                (ClauseKind::Compare, test.wanted(), distance)
            }
            Kind::Fact(fact) => {
                let distance = failed
                    .then(|| fact.test.distance(&fact.holds(facts).0))
                    .flatten();
                (ClauseKind::Fact, fact.test.wanted(), distance)
            }
            Kind::Time(window) => {
                let (now, zone) = (facts.input.now, facts.input.workspace.time_zone);
                let distance = failed.then(|| window.distance(now, zone)).flatten();
                (ClauseKind::Time, window.wanted(), distance)
            }
            _ => (ClauseKind::Expr, "true".to_owned(), None),
        };
        let text = match &distance {
            Some(distance) => format!("{}: {}", trace.text, distance.text),
            None => trace.text,
        };
        let clause = Clause {
            actual: trace.saw,
            distance,
            ..self.clause(what, &result, expected, text, Vec::new())
        };
        (clause, result)
    }

    fn weighed_parts(
        &self,
        parts: &[Self],
        facts: &Facts<'_>,
        what: ClauseKind,
    ) -> (Clause, Result<bool, Fault>) {
        let settles = what == ClauseKind::Any;
        let mut clauses = Vec::with_capacity(parts.len());
        let (mut settled, mut fault) = (None, None);
        for (index, part) in parts.iter().enumerate() {
            let (clause, result) = part.weighed(facts);
            clauses.push(clause);
            match result {
                Ok(held) if held == settles => settled = settled.or(Some(index)),
                Ok(_) => {}
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        let of = parts.len();
        let held = clauses
            .iter()
            .filter(|part| part.held == Some(true))
            .count();
        let result = match (settled, fault) {
            (Some(_), _) => Ok(settles),
            (None, Some(error)) => Err(error),
            (None, None) => Ok(!settles),
        };
        let (text, expected) = if settles {
            (
                format!("{held} of {of} parts hold, one must"),
                "at least one part to hold",
            )
        } else {
            (
                format!("{held} of {of} parts hold, all must"),
                "every part to hold",
            )
        };
        let text = match nearest(&clauses).filter(|_| settles && result == Ok(false)) {
            Some(nearest) => format!("{text}; nearest: {}", nearest.text),
            None => text,
        };
        (
            self.clause(what, &result, expected.to_owned(), text, clauses),
            result,
        )
    }

    fn clause(
        &self,
        what: ClauseKind,
        result: &Result<bool, Fault>,
        expected: String,
        text: String,
        parts: Vec<Clause>,
    ) -> Clause {
        Clause {
            path: self.pointer.clone(),
            what,
            held: Some(*result.as_ref().unwrap_or(&false)),
            expected,
            actual: Value::Null,
            distance: None,
            text,
            error: result.as_ref().err().map(ToString::to_string),
            is_first: false,
            parts,
        }
    }
}

/// Of parts that all failed, the one whose distance can be told, else the first.
fn nearest(parts: &[Clause]) -> Option<&Clause> {
    parts
        .iter()
        .find(|part| part.distance.is_some())
        .or(parts.first())
}

// Goes the way of `first_failing`, over what was written down.
fn mark_first(clause: &mut Clause) {
    let within = match (clause.what, &clause.error) {
        (ClauseKind::All, None) => clause
            .parts
            .iter()
            .position(|part| part.held == Some(false) && part.error.is_none()),
        (_, Some(_)) => clause.parts.iter().position(|part| part.error.is_some()),
        _ => None,
    };
    match within.and_then(|index| clause.parts.get_mut(index)) {
        Some(part) => mark_first(part),
        None => clause.is_first = true,
    }
}
