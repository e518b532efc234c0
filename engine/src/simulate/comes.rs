//! Which recorded events still come.
//!
//! Invariant: a recorded event that a run made comes only if the simulation has that run and it did the same until then.

use std::{collections::HashMap, sync::Arc};

use so_model::{
    Timestamp,
    event::{Event, kind},
    id::{EventId, RuleId, RunId},
    run::{Memo, Run},
    why::Recorded,
};

use super::play::{Play, simulated_run};
use crate::run::is_awaited;

/// What came of events that are about to come.
pub(super) struct Ahead {
    runs: HashMap<EventId, Vec<Run>>,
    memos: HashMap<RunId, Vec<Memo>>,
    let_go: HashMap<EventId, Vec<(RuleId, Timestamp)>>,
    seen: HashMap<EventId, Vec<(RuleId, Recorded)>>,
}

impl Ahead {
    pub(super) fn of(
        runs: Vec<Run>,
        memos: Vec<(RunId, Memo)>,
        let_go: Vec<(EventId, RuleId, Timestamp)>,
        seen: Vec<(EventId, RuleId, Recorded)>,
    ) -> Self {
        Self {
            runs: grouped(runs.into_iter().map(|run| (run.event, run))),
            memos: grouped(memos),
            let_go: grouped(
                let_go
                    .into_iter()
                    .map(|(event, rule, at)| (event, (rule, at))),
            ),
            seen: grouped(
                seen.into_iter()
                    .map(|(event, rule, one)| (event, (rule, one))),
            ),
        }
    }

    fn has_let_go(&self, rule: RuleId, event: EventId) -> bool {
        let starts = self.let_go.get(&event);
        starts.is_some_and(|starts| starts.iter().any(|(of, _)| *of == rule))
    }
}

fn grouped<K: Eq + std::hash::Hash, V>(
    all: impl IntoIterator<Item = (K, V)>,
) -> HashMap<K, Vec<V>> {
    let mut found: HashMap<K, Vec<V>> = HashMap::new();
    for (key, value) in all {
        found.entry(key).or_default().push(value);
    }
    found
}

impl Play {
    /// Takes what came of an event that is about to come.
    pub(super) fn note(&mut self, event: EventId, ahead: &mut Ahead) {
        for run in ahead.runs.remove(&event).unwrap_or_default() {
            self.told.really_started(run.rule, run.created_at);
            let memos = ahead.memos.remove(&run.id).unwrap_or_default();
            self.reality.note(run, memos);
        }
        let workspace = self.workspace.id;
        for (rule, at) in ahead.let_go.remove(&event).unwrap_or_default() {
            if self.reality.note_gone(workspace, rule, event, at) {
                self.told.really_started(rule, at);
            }
        }
        let seen = ahead.seen.remove(&event).unwrap_or_default();
        self.past.note(event, seen);
    }

    /// A call of a run that was let go: the simulated run in its place makes it, and is to start what it started.
    pub(super) fn expect_call(&mut self, event: &Event, ahead: &mut Ahead) {
        if event.kind != kind::RULE_CALLED {
            return;
        }
        let Some((rule, of)) = event.cause.rules.last().copied().zip(event.cause.event) else {
            return;
        };
        let caller = simulated_run(rule, of);
        if self.reality.knows(caller) || ahead.has_let_go(rule, of) {
            let call = (format!("call/{caller}"), event.dedupe.clone());
            self.expected.insert(call, event.id);
            self.note(event.id, ahead);
        }
    }

    /// A recorded call that the simulation has made already.
    pub(super) fn has_come(&mut self, event: &Event) -> bool {
        if event.kind != kind::RULE_CALLED {
            return false;
        }
        // What was not made by now is another call.
        self.expected.retain(|_, expected| *expected != event.id);
        let has_come = self.come.remove(&event.id);
        self.told.events += u64::from(has_come);
        has_come
    }

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
            self.past.forget(event.id);
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
        let Some(run) = self.maker_of(event) else {
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

    /// The run that made an event, if it was started by an event that was played.
    fn maker_of(&self, event: &Event) -> Option<RunId> {
        let run = event.cause.run?;
        if self.reality.knows(run) {
            return Some(run);
        }
        // One that was let go is known by its rule and its event.
        let (rule, of) = (event.cause.rules.last()?, event.cause.event?);
        Some(simulated_run(*rule, of)).filter(|run| self.reality.knows(*run))
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
