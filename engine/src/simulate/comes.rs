//! Which recorded events still come.
//!
//! Invariant: a recorded event that a run made comes only if the simulation has that run and it did the same until then.

use std::sync::Arc;

use so_model::{
    event::{Event, kind},
    id::RuleId,
};

use super::play::{Play, simulated_run};
use crate::run::is_awaited;

impl Play {
    /// An event of a kind that is asked for, or a call that a played run waits for.
    pub(super) fn is_chosen(&self, event: &Event) -> bool {
        let is_awaited =
            || is_awaited(event) && event.cause.run.is_some_and(|run| self.reality.knows(run));
        self.kinds.is_empty() || self.kinds.contains(&event.kind) || is_awaited()
    }

    /// An event of a kind that is not asked for starts nothing, but whoever waits for it goes on.
    pub(super) fn only_awaited(&mut self, event: Event) {
        if self.waiting.contains_key(&event.kind) && self.still_comes(&event) {
            self.tell_waiting(&Arc::new(event));
            self.settle();
        }
    }

    /// An event as history has it, at the moment it was stored.
    pub(super) fn recorded(&mut self, event: Event) {
        self.told.events += 1;
        if !self.still_comes(&event) {
            self.told.left_out += 1;
            self.left_out.insert(event.id);
            if event.kind == kind::POST_CREATED {
                self.absent.extend(event.subject);
            }
            return;
        }
        self.event(&Arc::new(event));
        self.settle();
    }

    fn still_comes(&self, event: &Event) -> bool {
        if event.kind == kind::TIME_DUE && !self.schedules.is_empty() {
            let rule = event.data["rule"]
                .as_str()
                .and_then(|text| text.parse().ok());
            if rule.is_some_and(|rule: RuleId| self.schedules.contains_key(&rule)) {
                return false;
            }
        }
        let subject = event.subject.as_ref();
        if subject.is_some_and(|subject| self.absent.contains(subject)) {
            return false;
        }
        if self.is_made_anew(event) {
            return false;
        }
        // What a run of before made is as it was.
        let Some(run) = event.cause.run.filter(|run| self.reality.knows(*run)) else {
            return !event
                .cause
                .event
                .is_some_and(|cause| self.left_out.contains(&cause));
        };
        let has_failed = event.kind == kind::RUN_FAILED;
        match (self.runs.get(&run), self.ended.get(&run)) {
            (Some(sim), _) => !sim.is_diverged && !has_failed,
            (None, Some(ended)) => !ended.is_diverged && (!has_failed || ended.has_failed),
            (None, None) => false,
        }
    }

    /// A call or a failure of a run that was let go: the simulation has another run in its place, which makes its own.
    fn is_made_anew(&self, event: &Event) -> bool {
        let of = match event.kind.as_str() {
            kind::RULE_CALLED => &event.data["caller"],
            kind::RUN_FAILED => &event.data["run"],
            _ => return false,
        };
        let rule = of["rule"].as_str().and_then(|text| text.parse().ok());
        let Some((rule, cause)) = rule.zip(event.cause.event) else {
            return false;
        };
        let own = simulated_run(rule, cause);
        self.runs.contains_key(&own) || self.ended.contains_key(&own)
    }
}
