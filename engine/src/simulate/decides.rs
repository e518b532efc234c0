//! Decisions of rules about one event, and what is told of those that start nothing.
//!
//! Owns what is not known at a decision. Invariant: asked in the order of real starts, with the words of real refusals.

use std::sync::Arc;

use so_model::{
    event::{Event, kind},
    id::{RuleId, RunId},
    run::Verdict,
    simulation::StartDiffers,
};

use super::{
    gates::Gate,
    play::{Play, Wake},
    runs::Ended,
};
use crate::{
    admit::judge,
    config::CHAIN_EVENTS_MAX,
    decide::{CompiledRule, DecisionInput, FactValues, Glance, facts_needed, glance, settle},
};

impl Play {
    pub(super) fn event(&mut self, event: &Arc<Event>) {
        if !self.waiting.is_empty() {
            self.tell_waiting(event);
        }
        let over_chain = event.cause.root.is_some_and(|root| {
            let count = self.chains.entry(root).or_insert(1);
            *count += 1;
            *count > CHAIN_EVENTS_MAX
        });
        let candidates = self.index.candidates(event);
        let is_call = event.kind == kind::RULE_CALLED;
        let mut refusal = None;
        let mut started: Vec<RuleId> = Vec::new();
        // Rules that ask for no facts share one view of the event.
        let (workspace, none) = (self.workspace.clone(), FactValues::default());
        let view = DecisionInput::new(event, &workspace, self.now, &none);
        for (rule, trigger) in candidates {
            // Two triggers of one rule may match one event; it still starts once.
            if started.contains(&rule.id) {
                continue;
            }
            self.told.candidate(rule.id, self.now);
            let decided = match over_chain {
                true => {
                    self.told
                        .refused(rule.id, Verdict::LoopGuard, None, self.now);
                    Decided::Refused(Some(over_the_chain()))
                }
                false => self.decide(&rule, trigger, event, &view),
            };
            match decided {
                Decided::Started(run) => {
                    started.push(rule.id);
                    if is_call {
                        self.call_started(event, run);
                    }
                }
                Decided::Waits => {}
                Decided::CannotSay(fact) => self.cannot_say(&rule, event, &fact),
                Decided::Refused(reason) => {
                    let is_asked = is_call || self.reality.peek(rule.id, event.id).is_some();
                    if is_asked {
                        let reason = reason.unwrap_or_else(|| self.why_not(&rule, trigger, &view));
                        self.only_recorded(&rule, event, &reason);
                        refusal = refusal.or(Some(reason));
                    }
                }
            }
        }
        self.past.forget(event.id);
        if is_call && started.is_empty() {
            let none = || "it has no trigger `rule.called`".to_owned();
            self.call_started_nothing(event, refusal.unwrap_or_else(none));
        }
    }

    fn why_not(
        &self,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        view: &DecisionInput<'_>,
    ) -> String {
        let known = self.facts_known(rule, trigger, view).0;
        let input = DecisionInput::new(view.event, view.workspace, view.now, &known);
        settle(rule, trigger, &input).reason
    }

    /// Known facts of a rule's condition; the name of the first that is not.
    fn facts_known(
        &self,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        view: &DecisionInput<'_>,
    ) -> (FactValues, Option<String>) {
        let (mut values, mut missing) = (FactValues::default(), None);
        let requests = facts_needed(rule, trigger, view);
        if requests.is_empty() {
            return (values, missing);
        }
        let event = view.event.id;
        let started = self.reality.peek(rule.id, event);
        let started = started.filter(|real| !real.is_gone).map(|real| &real.run);
        let started = started.filter(|run| run.version == rule.version);
        let seen = started.and_then(|run| {
            let facts = view.facts_for(rule, trigger);
            Some(rule.condition()?.facts_of(&run.decision, &facts))
        });
        for request in requests {
            let about = (event, rule.id);
            let known = self
                .past
                .fact(&request, about, &self.gates, self.first, self.now);
            let known = known.or_else(|| seen.as_ref()?.get(&request.key).cloned());
            match known {
                Some(value) => {
                    values.insert(request.key, value);
                }
                None => missing = missing.or(Some(request.fact)),
            }
        }
        (values, missing)
    }

    fn decide(
        &mut self,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        event: &Arc<Event>,
        view: &DecisionInput<'_>,
    ) -> Decided {
        let (values, missing) = self.facts_known(rule, trigger, view);
        let now = self.now;
        let own;
        let input = match values.is_empty() {
            true => view,
            false => {
                own = DecisionInput::new(event, view.workspace, now, &values);
                &own
            }
        };
        match glance(rule, trigger, input) {
            Glance::Starts => {}
            Glance::Unsure => return Decided::CannotSay(missing.unwrap_or_default()),
            Glance::Refused(verdict, clause) => {
                self.told.refused(rule.id, verdict, clause, now);
                return Decided::Refused(None);
            }
        }
        let shut = |play: &mut Self, verdict, reason| {
            play.told.refused(rule.id, verdict, None, now);
            Decided::Refused(Some(reason))
        };
        let keys = match judge(rule, trigger, event, view.workspace, now, &values).1 {
            Ok(keys) => keys,
            Err(reason) => return shut(self, Verdict::ConditionFailed, reason),
        };
        match self.gates.pass(rule, event, &keys, now) {
            Gate::Open => {}
            Gate::Shut(verdict, reason) => return shut(self, verdict, reason),
            Gate::Quiet(until, turn) => {
                self.told.refused(rule.id, Verdict::Debounced, None, now);
                self.wake_at(until, Wake::Quiet(rule.id, keys.debounce, turn));
                return Decided::Waits;
            }
        }
        match self.start(rule, trigger, event, keys.mode) {
            Ok(run) => Decided::Started(run),
            Err(reason) => shut(self, Verdict::ModeRefused, reason),
        }
    }

    pub(super) fn quiet_is_over(&mut self, rule: RuleId, key: &str, turn: u64) {
        let Some(event) = self.gates.is_quiet(rule, key, turn) else {
            return;
        };
        let Some(rule) = self.index.get(rule).cloned() else {
            return;
        };
        let listening = rule
            .triggers
            .iter()
            .position(|trigger| trigger.matches(&event).is_ok());
        let trigger = listening.unwrap_or(0);
        let keys = judge(
            &rule,
            trigger,
            &event,
            &self.workspace,
            self.now,
            &self.no_facts,
        )
        .1;
        let key = keys.map_or_else(|_| String::new(), |keys| keys.mode);
        if let Err(reason) = self.start(&rule, trigger, &event, key) {
            self.told
                .refused(rule.id, Verdict::ModeRefused, None, self.now);
            self.only_recorded(&rule, &event, &reason);
        }
    }

    /// What the run made in reality is taken as it was: nothing speaks against it.
    fn cannot_say(&mut self, rule: &CompiledRule, event: &Event, fact: &str) {
        self.told.cannot_say(rule.id, self.now);
        let text = "history does not hold its value at that moment, so whether the rule starts is not known";
        self.told.unknown(rule.id, fact, text.into(), self.now);
        if let Some(real) = self.reality.take(rule.id, event.id) {
            let ended = Ended {
                is_diverged: false,
                has_failed: true,
            };
            self.ended.insert(real.run.id, ended);
            let text =
                format!("whether it starts hangs on the fact {fact}, which history does not hold");
            let at = real.run.created_at;
            self.differs(
                StartDiffers::CannotSay,
                rule.id,
                event.id,
                &event.kind,
                at,
                real.id(),
                text,
            );
        }
    }

    fn only_recorded(&mut self, rule: &CompiledRule, event: &Event, reason: &str) {
        if let Some(real) = self.reality.take(rule.id, event.id) {
            let effects = real.effects();
            let action_of = self.action_of(rule.id);
            self.told.calls(&effects, action_of, true);
            let (at, run) = (real.run.created_at, real.id());
            self.differs(
                StartDiffers::OnlyRecorded,
                rule.id,
                event.id,
                &event.kind,
                at,
                run,
                reason,
            );
        }
    }
}

enum Decided {
    Started(RunId),
    Waits,
    CannotSay(String),
    /// Counted already; with the reason, if it is at hand.
    Refused(Option<String>),
}

fn over_the_chain() -> String {
    format!("the chain of consequences has more than {CHAIN_EVENTS_MAX} events")
}
