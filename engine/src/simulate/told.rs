//! What is told of a simulation: counts without a bound, lists with one.
//!
//! Invariant: what does not fit into a list is counted.

use std::collections::{BTreeMap, HashMap};

use so_model::{
    Timestamp,
    id::RuleId,
    run::Verdict,
    simulation::{
        RefusedBy, SimulatedCalls, SimulatedEffect, SimulatedRule, SimulatedStart, Simulation,
        SimulationUnknown, StartDifference,
    },
    time::HOUR,
};

/// Starts in one answer.
pub const STARTS_MAX: usize = 1_000;
/// Differences in one answer.
pub const DIFFERENCES_MAX: usize = 1_000;
/// Effects in one answer, over all its starts.
pub const EFFECTS_MAX: usize = 20_000;
/// Things that are not known, in one answer.
const UNKNOWNS_MAX: usize = 200;
/// Pairs of action and account whose calls are counted.
const CALLS_MAX: usize = 1_000;

type Caller = (String, Option<String>);

#[derive(Default)]
struct Calls {
    count: u64,
    count_really: u64,
    by_hour: HashMap<i64, u64>,
}

/// The answer as it grows.
#[derive(Default)]
pub(super) struct Told {
    pub(super) rules: HashMap<RuleId, SimulatedRule>,
    starts: Vec<SimulatedStart>,
    starts_more: u64,
    differences: Vec<StartDifference>,
    differences_more: u64,
    effects: usize,
    unknowns: BTreeMap<(RuleId, String, String), u64>,
    calls: BTreeMap<Caller, Calls>,
    pub(super) same: u64,
    pub(super) events: u64,
    pub(super) left_out: u64,
    pub(super) made: u64,
    pub(super) incomplete_from: Option<Timestamp>,
    /// What comes before is the lead.
    pub(super) from: Timestamp,
}

impl Told {
    /// Tells of what comes at or after a moment.
    pub(super) fn since(from: Timestamp) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    pub(super) fn candidate(&mut self, rule: RuleId, at: Timestamp) {
        if at >= self.from
            && let Some(told) = self.rules.get_mut(&rule)
        {
            told.candidates += 1;
        }
    }

    pub(super) fn refused(
        &mut self,
        rule: RuleId,
        verdict: Verdict,
        clause: Option<&str>,
        at: Timestamp,
    ) {
        let Some(told) = self.rules.get_mut(&rule).filter(|_| at >= self.from) else {
            return;
        };
        let same = |one: &&mut RefusedBy| one.verdict == verdict && one.clause.as_deref() == clause;
        match told.refused.iter_mut().find(same) {
            Some(known) => known.count += 1,
            None => told.refused.push(RefusedBy {
                verdict,
                clause: clause.map(str::to_owned),
                count: 1,
            }),
        }
    }

    pub(super) fn unknown(&mut self, rule: RuleId, what: &str, text: String, at: Timestamp) {
        let key = (rule, what.to_owned(), text);
        let is_room = self.unknowns.len() < UNKNOWNS_MAX || self.unknowns.contains_key(&key);
        if at >= self.from && is_room {
            *self.unknowns.entry(key).or_default() += 1;
        }
    }

    pub(super) fn cannot_say(&mut self, rule: RuleId, at: Timestamp) {
        if at >= self.from
            && let Some(told) = self.rules.get_mut(&rule)
        {
            told.cannot_say += 1;
        }
    }

    pub(super) fn start(&mut self, mut start: SimulatedStart) {
        if start.at < self.from {
            return;
        }
        if let Some(told) = self.rules.get_mut(&start.rule) {
            told.started += 1;
        }
        let is_room = self.effects + start.effects.len() <= EFFECTS_MAX;
        if self.starts.len() >= STARTS_MAX || !is_room {
            self.starts_more += 1;
            return;
        }
        self.effects += start.effects.len();
        start.effects.shrink_to_fit();
        self.starts.push(start);
    }

    pub(super) fn really_started(&mut self, rule: RuleId, at: Timestamp) {
        if at >= self.from
            && let Some(told) = self.rules.get_mut(&rule)
        {
            told.started_really += 1;
        }
    }

    pub(super) fn differs(&mut self, difference: StartDifference) {
        if difference.at < self.from {
            return;
        }
        match self.differences.len() < DIFFERENCES_MAX {
            true => self.differences.push(difference),
            false => self.differences_more += 1,
        }
    }

    /// Counts calls of a simulated run, or of a real one.
    pub(super) fn calls(
        &mut self,
        effects: &[SimulatedEffect],
        is_remote: impl Fn(&SimulatedEffect) -> Option<String>,
        is_real: bool,
    ) {
        for effect in effects.iter().filter(|effect| effect.at >= self.from) {
            let Some(action) = is_remote(effect) else {
                continue;
            };
            let account = effect.with["account"].as_str().map(str::to_owned);
            let caller = (action, account);
            if self.calls.len() >= CALLS_MAX && !self.calls.contains_key(&caller) {
                continue;
            }
            let calls = self.calls.entry(caller).or_default();
            if is_real {
                calls.count_really += 1;
            } else {
                calls.count += 1;
                *calls.by_hour.entry(effect.at.micros() / HOUR).or_default() += 1;
            }
        }
    }

    pub(super) fn finish(self, until: Timestamp) -> Simulation {
        let mut rules: Vec<SimulatedRule> = self.rules.into_values().collect();
        for rule in &mut rules {
            rule.refused
                .sort_by_key(|refused| std::cmp::Reverse(refused.count));
        }
        rules.sort_by(|a, b| (&a.name, a.rule).cmp(&(&b.name, b.rule)));
        let (mut starts, mut differences) = (self.starts, self.differences);
        starts.sort_by_key(|start| (start.at, start.event, start.rule));
        differences.sort_by_key(|one| (one.at, one.event, one.rule));
        let unknowns = self.unknowns.into_iter();
        let unknowns = unknowns.map(|((rule, what, text), count)| SimulationUnknown {
            rule,
            what,
            text,
            count,
        });
        let calls = self
            .calls
            .into_iter()
            .map(|((action, account), calls)| SimulatedCalls {
                action,
                account,
                count: calls.count,
                count_really: calls.count_really,
                peak_in_an_hour: calls.by_hour.into_values().max().unwrap_or_default(),
            });
        Simulation {
            from: self.from,
            until,
            events: self.events,
            left_out: self.left_out,
            made: self.made,
            rules,
            starts,
            starts_more: self.starts_more,
            differences,
            differences_more: self.differences_more,
            same: self.same,
            unknowns: unknowns.collect(),
            calls: calls.collect(),
            incomplete_from: self.incomplete_from,
        }
    }
}
