//! One event, two versions: what live did, as recorded, against what the candidate would have done.
//!
//! Owns the order of the questions. Invariant: nothing is claimed that rests on a fact nobody recorded at the time and
//! that the live run may have changed since; that is "cannot say".

use std::sync::Arc;

use so_model::{
    Timestamp,
    effect::RehearsalEnd,
    event::{Event, kind},
    run::{ConditionTrace, Decision, Verdict},
    shadow::ShadowOutcome,
    why::Recorded,
};
use so_store::{Store, StoreError, decisions, runs, runs::RunFilter};

use super::{Pair, effects};
use crate::{
    decide::{self, CompiledRule, DecisionInput, FactValues, WorkspaceFacts},
    engine::Engine,
    facts,
    rehearse::Rehearse,
};

/// What came of one event, and why; none if it concerns neither version.
pub(super) struct Compared {
    pub outcome: ShadowOutcome,
    pub because: String,
    pub path: String,
    /// It cost transactions.
    pub rehearsals: usize,
}

fn compared(outcome: ShadowOutcome, because: impl Into<String>) -> Compared {
    Compared {
        outcome,
        because: because.into(),
        path: String::new(),
        rehearsals: 0,
    }
}

/// What the live version did.
enum Live {
    /// No trigger of it listens, or what it decided was not recorded.
    Nothing,
    Started(Timestamp),
    Refused(Box<Decision>, Timestamp, Option<Recorded>),
}

/// What the candidate's trigger and condition say.
enum Candidate {
    NotListening,
    Refused(String, String),
    Holds,
    Unknown(String),
}

impl Engine {
    pub(super) async fn compare(
        &self,
        reader: &mut Store,
        pair: &Pair,
        event: &Arc<Event>,
        stored_at: Timestamp,
        workspace: &WorkspaceFacts,
    ) -> Result<Option<Compared>, StoreError> {
        let listens =
            |rule: &CompiledRule| rule.triggers.iter().any(|one| one.matches(event).is_ok());
        if !listens(&pair.live) && !listens(&pair.candidate) {
            return Ok(None);
        }
        let live = recorded(reader, event, pair.live.id).await?;
        // It listens, and neither a run nor a refusal is there any more, or was there ever.
        if matches!(live, Live::Nothing) && listens(&pair.live) {
            return Ok(Some(compared(ShadowOutcome::CannotSay, UNRECORDED)));
        }
        let at = match &live {
            Live::Nothing => stored_at,
            Live::Started(at) | Live::Refused(_, at, _) => *at,
        };
        let candidate = self
            .judged(reader, pair, event, &live, at, workspace)
            .await?;
        let found = match (candidate, live) {
            (Candidate::NotListening, Live::Nothing) => return Ok(None),
            (Candidate::Unknown(why), _) => compared(ShadowOutcome::CannotSay, why),
            (Candidate::NotListening, live) => {
                let why = "no trigger of the candidate listens to it";
                refused_by_candidate(&live, why, "/triggers")
            }
            (Candidate::Refused(why, path), live) => refused_by_candidate(&live, &why, &path),
            (Candidate::Holds, Live::Started(_)) => {
                if pair.same_gates || pair.free_candidate {
                    self.effects(pair, event, at).await?
                } else {
                    compared(ShadowOutcome::CannotSay, GATES)
                }
            }
            (Candidate::Holds, Live::Refused(decision, ..)) if passed_condition(&decision) => {
                self.gated(pair, event, &decision, at).await?
            }
            (Candidate::Holds, Live::Refused(decision, ..))
                if chain_refused(pair, event, &decision) =>
            {
                compared(ShadowOutcome::Same, "")
            }
            (Candidate::Holds, live) => self.alone(pair, event, &live, at).await?,
        };
        Ok(Some(found))
    }

    /// Trigger and condition of the candidate at the moment of the event.
    async fn judged(
        &self,
        reader: &mut Store,
        pair: &Pair,
        event: &Arc<Event>,
        live: &Live,
        at: Timestamp,
        workspace: &WorkspaceFacts,
    ) -> Result<Candidate, StoreError> {
        let rule = &pair.candidate;
        let trigger = rule
            .triggers
            .iter()
            .position(|one| one.matches(event).is_ok());
        let Some(trigger) = trigger else {
            return Ok(Candidate::NotListening);
        };
        if event.kind == kind::TIME_DUE && !pair.candidate_is_due(event) {
            let why = "the candidate's schedule has no such moment".to_owned();
            return Ok(Candidate::Refused(why, "/triggers".into()));
        }
        // The same question has the same answer, whatever it looked at.
        if pair.same_condition {
            match live {
                Live::Started(_) => return Ok(Candidate::Holds),
                Live::Refused(decision, ..) if passed_condition(decision) => {
                    return Ok(Candidate::Holds);
                }
                Live::Refused(decision, ..) if decision.verdict == Verdict::ConditionFailed => {
                    let path = path_of(decision.trace.as_ref());
                    return Ok(Candidate::Refused(decision.reason.clone(), path));
                }
                _ => {}
            }
        }
        let mut values = FactValues::default();
        let recorded = match live {
            Live::Refused(_, _, Some(seen)) => Some(&seen.facts),
            _ => None,
        };
        let none = FactValues::default();
        let asked = decide::facts_needed(
            rule,
            trigger,
            &DecisionInput::new(event, workspace, at, &none),
        );
        for request in asked {
            let known = recorded.and_then(|facts| facts.get(&request.key)).cloned();
            let value = match known {
                Some(value) => value,
                None if matches!(live, Live::Started(_)) => {
                    let why = format!(
                        "{} was not recorded, and the live run may have changed it since",
                        request.fact
                    );
                    return Ok(Candidate::Unknown(why));
                }
                None => {
                    let (fact, of) = (&request.fact, &request.params);
                    facts::fetch(reader, event.workspace, rule.id, fact, of, at).await?
                }
            };
            values.insert(request.key, value);
        }
        let decision = decide::settle(
            rule,
            trigger,
            &DecisionInput::new(event, workspace, at, &values),
        );
        Ok(match decision.verdict {
            Verdict::Started => Candidate::Holds,
            _ => Candidate::Refused(decision.reason, path_of(decision.trace.as_ref())),
        })
    }

    /// The live version's bounds on starts refused it.
    async fn gated(
        &self,
        pair: &Pair,
        event: &Arc<Event>,
        decision: &Decision,
        at: Timestamp,
    ) -> Result<Compared, StoreError> {
        // A quiet spell ends in a start.
        if decision.verdict == Verdict::Debounced && pair.same_gates {
            return self.effects(pair, event, at).await;
        }
        Ok(if pair.same_gates {
            compared(ShadowOutcome::Same, "")
        } else if pair.free_candidate {
            compared(
                ShadowOutcome::OnlyCandidate,
                format!("live did not start: {}", decision.reason),
            )
        } else {
            compared(ShadowOutcome::CannotSay, GATES)
        })
    }

    /// The live version's trigger or condition refused it, so that it left no trace in the bounds on starts.
    async fn alone(
        &self,
        pair: &Pair,
        event: &Arc<Event>,
        live: &Live,
        at: Timestamp,
    ) -> Result<Compared, StoreError> {
        let rehearsal = self.rehearsed(&pair.candidate, event, at, false).await?;
        let (why, path) = match live {
            Live::Refused(decision, ..) => {
                (decision.reason.clone(), path_of(decision.trace.as_ref()))
            }
            _ => (
                "no trigger of it listens to it".to_owned(),
                "/triggers".into(),
            ),
        };
        let mut found = match rehearsal.would_start {
            true => compared(
                ShadowOutcome::OnlyCandidate,
                format!("live did not start: {why}"),
            ),
            false => compared(ShadowOutcome::Same, ""),
        };
        found.path = path;
        found.rehearsals = 1;
        Ok(found)
    }

    /// Both start: do they do the same?
    async fn effects(
        &self,
        pair: &Pair,
        event: &Arc<Event>,
        at: Timestamp,
    ) -> Result<Compared, StoreError> {
        if pair.same_steps {
            return Ok(compared(ShadowOutcome::Same, ""));
        }
        let live = self.rehearsed(&pair.live, event, at, true).await?;
        let candidate = self.rehearsed(&pair.candidate, event, at, true).await?;
        let mut found = match effects::first_difference(&live, &candidate) {
            Some((because, path)) => Compared {
                path,
                ..compared(ShadowOutcome::EffectsDiffer, because)
            },
            // What the live run has done already makes both fail alike, and hides what would have come after it.
            None if live.end == RehearsalEnd::Failed => {
                let reason = live.reason.unwrap_or_default();
                let why =
                    format!("tried again after the live run, both versions fail alike: {reason}");
                compared(ShadowOutcome::CannotSay, why)
            }
            None => compared(ShadowOutcome::Same, ""),
        };
        found.rehearsals = 2;
        Ok(found)
    }

    async fn rehearsed(
        &self,
        rule: &Arc<CompiledRule>,
        event: &Arc<Event>,
        at: Timestamp,
        anyway: bool,
    ) -> Result<crate::rehearse::Rehearsal, StoreError> {
        let asked = Rehearse {
            rule: Arc::clone(rule),
            event: Arc::clone(event),
            now: at,
            anyway,
        };
        self.rehearse(&asked).await
    }
}

/// Why nothing can be said where the bounds differ.
const GATES: &str = "mode, throttle, debounce, dedupe or limits differ, and what the candidate's would have counted is \
                     not known";

/// Why nothing can be said of an event that left no trace.
const UNRECORDED: &str = "the live version listens to it, and what it decided was not recorded";

/// The chain of consequences ended it, by a bound that holds for the candidate as well: the number of events of a
/// chain, not the depth that a rule gives itself.
fn chain_refused(pair: &Pair, event: &Event, decision: &Decision) -> bool {
    let (one, other) = (
        pair.live.document.limits.max_depth,
        pair.candidate.document.limits.max_depth,
    );
    let own = one.is_some_and(|most| event.cause.depth > most);
    decision.verdict == Verdict::LoopGuard && (one == other || !own)
}

/// The condition held, and a bound on starts refused.
fn passed_condition(decision: &Decision) -> bool {
    matches!(
        decision.verdict,
        Verdict::ModeRefused
            | Verdict::Throttled
            | Verdict::Debounced
            | Verdict::Duplicate
            | Verdict::OverBudget
    )
}

fn refused_by_candidate(live: &Live, why: &str, path: &str) -> Compared {
    let started = match live {
        Live::Started(_) => true,
        // A quiet spell ends in a start.
        Live::Refused(decision, ..) => decision.verdict == Verdict::Debounced,
        Live::Nothing => false,
    };
    let outcome = if started {
        ShadowOutcome::OnlyLive
    } else {
        ShadowOutcome::Same
    };
    Compared {
        path: path.to_owned(),
        ..compared(outcome, why)
    }
}

fn path_of(trace: Option<&ConditionTrace>) -> String {
    trace.map_or_else(|| "/if".to_owned(), |trace| trace.path.clone())
}

async fn recorded(
    reader: &mut Store,
    event: &Event,
    rule: so_model::id::RuleId,
) -> Result<Live, StoreError> {
    let (event_id, rule_id) = (event.id.to_string(), rule.to_string());
    let filter = RunFilter {
        event: &event_id,
        rule: &rule_id,
        ..RunFilter::default()
    };
    if let Some(run) = runs::list(reader, event.workspace, &filter, 1).await?.pop() {
        return Ok(Live::Started(run.created_at));
    }
    let decided = decisions::list_for_event(reader, event.workspace, event.id).await?;
    let own = decided.into_iter().find(|one| one.decision.rule == rule);
    Ok(own.map_or(Live::Nothing, |one| {
        Live::Refused(Box::new(one.decision), one.at, one.seen)
    }))
}
