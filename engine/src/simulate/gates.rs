//! Gates in memory: how often rules started, what they remember, and what is under way.
//!
//! Owns what real gates keep in tables. Invariant: asked in the order of real starts (budget, throttle, dedupe,
//! debounce, mode), and what a refused start leaves behind is what it leaves behind there.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};

use so_model::{
    Timestamp,
    event::Event,
    id::{RuleId, RunId},
    rule::ModeKind,
    run::Verdict,
    time::{HOUR, SECOND},
};

use crate::{
    admit::{Keys, ModeSays, said},
    config::RULE_RUNS_PER_HOUR_MAX,
    decide::CompiledRule,
    schedule::parse_duration,
};

type RuleKey = (RuleId, String);

/// What a gate says.
pub(super) enum Gate {
    /// Nothing against it.
    Open,
    /// It is refused.
    Shut(Verdict, String),
    /// It waits for its quiet spell: until then, with this turn.
    Quiet(Timestamp, u64),
}

/// The memory of all gates.
#[derive(Default)]
pub(super) struct Gates {
    spent: HashMap<RuleId, (i64, i64)>,
    starts: HashMap<RuleId, Vec<Timestamp>>,
    ticks: HashMap<RuleKey, VecDeque<Timestamp>>,
    remembered: HashMap<RuleKey, Option<Timestamp>>,
    quiet: HashMap<RuleKey, (Arc<Event>, u64)>,
    active: HashMap<RuleKey, Vec<RunId>>,
    turns: u64,
}

impl Gates {
    /// Budget, throttle, dedupe and debounce.
    pub(super) fn pass(
        &mut self,
        rule: &CompiledRule,
        event: &Arc<Event>,
        keys: &Keys,
        now: Timestamp,
    ) -> Gate {
        let document = &rule.document;
        if !self.spend(rule.id, now) {
            return Gate::Shut(Verdict::OverBudget, said::budget());
        }
        if let Some(own) = document.limits.max_runs_per_hour {
            let max = i64::from(own).min(RULE_RUNS_PER_HOUR_MAX);
            if self.started_since(rule.id, now.plus(-HOUR)) >= max {
                return Gate::Shut(Verdict::OverBudget, said::own_budget(max));
            }
        }
        if let Some(throttle) = &document.throttle {
            let span = parse_duration(&throttle.per).unwrap_or(HOUR);
            let ticks = self.ticks.entry((rule.id, keys.throttle.clone()));
            let ticks = ticks.or_default();
            while ticks.front().is_some_and(|at| *at <= now.plus(-span)) {
                ticks.pop_front();
            }
            if ticks.len() >= throttle.max as usize {
                return Gate::Shut(Verdict::Throttled, said::throttle(throttle));
            }
            ticks.push_back(now);
        }
        if let Some(dedupe) = &document.dedupe {
            let span = dedupe.within.as_deref();
            let span = span.and_then(|text| parse_duration(text).ok());
            let until = span.map(|span| now.plus(span));
            let known = self.remembered.entry((rule.id, keys.dedupe.clone()));
            match known {
                std::collections::hash_map::Entry::Occupied(mut known) => {
                    if !known.get().is_some_and(|until| until <= now) {
                        return Gate::Shut(Verdict::Duplicate, said::dedupe(&keys.dedupe));
                    }
                    known.insert(until);
                }
                std::collections::hash_map::Entry::Vacant(new) => {
                    new.insert(until);
                }
            }
        }
        if let Some(debounce) = &document.debounce {
            let span = parse_duration(&debounce.duration).unwrap_or(SECOND);
            self.turns += 1;
            let key = keys.debounce.clone();
            self.quiet
                .insert((rule.id, key.clone()), (event.clone(), self.turns));
            return Gate::Quiet(now.plus(span), self.turns);
        }
        Gate::Open
    }

    fn spend(&mut self, rule: RuleId, now: Timestamp) -> bool {
        let hour = now.micros() / HOUR;
        let spent = self.spent.entry(rule).or_insert((hour, 0));
        *spent = match spent.0 == hour {
            true => (hour, spent.1 + 1),
            false => (hour, 1),
        };
        spent.1 <= RULE_RUNS_PER_HOUR_MAX
    }

    /// The event whose quiet spell is over, if none came later.
    pub(super) fn is_quiet(&mut self, rule: RuleId, key: &str, turn: u64) -> Option<Arc<Event>> {
        let place = (rule, key.to_owned());
        let is_last = self
            .quiet
            .get(&place)
            .is_some_and(|(_, last)| *last == turn);
        let taken = is_last.then(|| self.quiet.remove(&place)).flatten();
        taken.map(|(event, _)| event)
    }

    /// What the mode says; the runs that are in its way.
    pub(super) fn mode(&self, rule: &CompiledRule, key: &str) -> (ModeSays, Vec<RunId>) {
        // Whoever hinders nobody needs no look at its neighbours.
        if !is_counted(rule) {
            return (ModeSays::Run, Vec::new());
        }
        let active = self.active.get(&(rule.id, key.to_owned()));
        let active = active.cloned().unwrap_or_default();
        (ModeSays::about(&rule.document.mode, active.len()), active)
    }

    /// A run begins, or queues.
    pub(super) fn begin(&mut self, rule: &CompiledRule, key: &str, run: RunId, now: Timestamp) {
        self.starts.entry(rule.id).or_default().push(now);
        if !is_counted(rule) {
            return;
        }
        let active = self.active.entry((rule.id, key.to_owned()));
        active.or_default().push(run);
    }

    /// A run is over; the one whose turn it is next.
    pub(super) fn end(&mut self, rule: RuleId, key: &str, run: RunId) -> Option<RunId> {
        let place = (rule, key.to_owned());
        let active = self.active.get_mut(&place)?;
        active.retain(|one| *one != run);
        let next = active.first().copied();
        if next.is_none() {
            self.active.remove(&place);
        }
        next
    }

    /// Runs of a rule that began after a moment.
    pub(super) fn started_since(&self, rule: RuleId, since: Timestamp) -> i64 {
        let starts = self.starts.get(&rule).map_or(&[][..], Vec::as_slice);
        let before = starts.partition_point(|at| *at <= since);
        i64::try_from(starts.len() - before).unwrap_or(i64::MAX)
    }
}

fn is_counted(rule: &CompiledRule) -> bool {
    let mode = &rule.document.mode;
    mode.kind != ModeKind::Parallel || mode.max.is_some()
}
