//! What really happened: runs with their memos, held against the simulated ones.
//!
//! Invariant: two runs are the same if their actions had the same parameters, answers and ends, step by step; moments
//! are not compared, for a real server takes time.

use std::collections::{HashMap, HashSet};

use serde_json::Value;
use so_model::{
    Timestamp,
    id::{EventId, RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Memo, Run, RunState},
    simulation::SimulatedEffect,
};

use super::play::simulated_run;

/// Longest piece of a value that a sentence shows.
const SHOWN_MAX: usize = 120;

/// A recorded run.
#[derive(Debug)]
pub(super) struct Real {
    pub(super) run: Run,
    pub(super) memos: Vec<Memo>,
    /// It was let go: nothing is known of it but its start, and that it came to its end.
    pub(super) is_gone: bool,
}

impl Real {
    fn gone(workspace: WorkspaceId, rule: RuleId, event: EventId, at: Timestamp) -> Self {
        let run = Run {
            // What it was called is gone as well.
            id: simulated_run(rule, event),
            workspace,
            rule,
            version: 0,
            event,
            trigger: String::new(),
            state: RunState::Finished,
            key: String::new(),
            decision: ConditionTrace::unconditional(),
            reason: None,
            created_at: at,
            finished_at: None,
        };
        Self {
            run,
            memos: Vec::new(),
            is_gone: true,
        }
    }

    /// The run, if it is there still.
    pub(super) fn id(&self) -> Option<RunId> {
        (!self.is_gone).then_some(self.run.id)
    }

    /// What a step's try came to.
    pub(super) fn memo(&self, path: &str, attempt: i64) -> Option<&Memo> {
        let same = |memo: &&Memo| memo.path == path && memo.attempt == attempt;
        self.memos.iter().find(same)
    }

    /// What its actions did.
    pub(super) fn effects(&self) -> Vec<SimulatedEffect> {
        effects(self.memos.iter(), |_| String::new())
    }
}

/// Recorded runs, as far as the simulation has not met them.
#[derive(Default)]
pub(super) struct Reality {
    waiting: HashMap<(RuleId, EventId), Real>,
    known: HashSet<RunId>,
}

impl Reality {
    /// Takes a run of an event that is about to come.
    pub(super) fn note(&mut self, run: Run, memos: Vec<Memo>) {
        self.known.insert(run.id);
        // The first run of an event is the one that the event started; later ones are a person's.
        self.waiting.entry((run.rule, run.event)).or_insert(Real {
            run,
            memos,
            is_gone: false,
        });
    }

    /// Takes a start of an event that is about to come, whose run was let go; no, if one of that event is there still.
    pub(super) fn note_gone(
        &mut self,
        workspace: WorkspaceId,
        rule: RuleId,
        event: EventId,
        at: Timestamp,
    ) -> bool {
        let std::collections::hash_map::Entry::Vacant(place) = self.waiting.entry((rule, event))
        else {
            return false;
        };
        let real = Real::gone(workspace, rule, event, at);
        self.known.insert(real.run.id);
        place.insert(real);
        true
    }

    /// Recorded runs that wait to be met.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The run was started by an event that was played; one that was let go goes by the name of the simulated one.
    pub(super) fn knows(&self, run: RunId) -> bool {
        self.known.contains(&run)
    }

    /// The recorded run of a rule and an event.
    pub(super) fn peek(&self, rule: RuleId, event: EventId) -> Option<&Real> {
        if self.waiting.is_empty() {
            return None;
        }
        self.waiting.get(&(rule, event))
    }

    /// Takes it.
    pub(super) fn take(&mut self, rule: RuleId, event: EventId) -> Option<Real> {
        if self.waiting.is_empty() {
            return None;
        }
        self.waiting.remove(&(rule, event))
    }

    /// Takes those of some rules, in order.
    pub(super) fn take_of(&mut self, is_wanted: impl Fn(RuleId) -> bool) -> Vec<Real> {
        let wanted = self.waiting.extract_if(|(rule, _), _| is_wanted(*rule));
        let mut taken: Vec<Real> = wanted.map(|(_, real)| real).collect();
        taken.sort_unstable_by_key(|real| real.run.id);
        taken
    }
}

/// What actions did, in the order of their ends.
pub(super) fn effects<'m>(
    memos: impl Iterator<Item = &'m Memo>,
    action_of: impl Fn(&Memo) -> String,
) -> Vec<SimulatedEffect> {
    let mut effects: Vec<SimulatedEffect> = memos
        // Only actions have parameters.
        .filter(|memo| !memo.input.is_null())
        .filter_map(|memo| {
            Some(SimulatedEffect {
                at: memo.finished_at?,
                path: memo.path.clone(),
                step: memo.step.clone(),
                action: action_of(memo),
                attempt: memo.attempt,
                outcome: memo.outcome,
                with: memo.input.clone(),
                output: memo.output.clone(),
                error: memo.error.clone(),
            })
        })
        .collect();
    effects.sort_by(|a, b| (a.at, &a.path, a.attempt).cmp(&(b.at, &b.path, b.attempt)));
    effects
}

/// The first difference in what two runs did; none if they did the same.
pub(super) fn difference(
    real: &[SimulatedEffect],
    simulated: &[SimulatedEffect],
    ends: (RunState, RunState),
) -> Option<String> {
    let (mut real, mut simulated): (Vec<_>, Vec<_>) =
        (real.iter().collect(), simulated.iter().collect());
    real.sort_by_key(|effect| place(effect));
    simulated.sort_by_key(|effect| place(effect));
    for (was, is) in real.iter().zip(&simulated) {
        if place(was) != place(is) {
            return Some(match place(was) < place(is) {
                true => format!("step {} would not be done", was.step),
                false => format!("step {} would be done, and was not", is.step),
            });
        }
        let step = &is.step;
        if was.with != is.with {
            let (was, is) = (shown(&was.with), shown(&is.with));
            return Some(format!("step {step}: with {is}; it was {was}"));
        }
        if was.outcome != is.outcome {
            let (was, is) = (was.outcome.as_str(), is.outcome.as_str());
            return Some(format!("step {step}: {is}; it was {was}"));
        }
        if was.output != is.output {
            let (was, is) = (shown(&was.output), shown(&is.output));
            return Some(format!("step {step}: answers {is}; it was {was}"));
        }
        if was.error != is.error {
            return Some(format!("step {step}: fails otherwise"));
        }
    }
    if let Some(more) = simulated.get(real.len()) {
        return Some(format!("step {} would be done, and was not", more.step));
    }
    if let Some(less) = real.get(simulated.len()) {
        return Some(format!("step {} would not be done", less.step));
    }
    let (was, is) = ends;
    (was != is).then(|| format!("it ends as {}; it was {}", is.as_str(), was.as_str()))
}

/// A step keeps its id when others are put before it; within loops the number of the element counts as well.
fn place(effect: &SimulatedEffect) -> (&str, Vec<&str>, i64) {
    let mut parts = effect.path.split('/');
    let mut elements = Vec::new();
    while let Some(part) = parts.next() {
        if part == "each" {
            elements.extend(parts.next());
        }
    }
    (&effect.step, elements, effect.attempt)
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.len() > SHOWN_MAX {
        true => format!("{}…", &text[..text.floor_char_boundary(SHOWN_MAX)]),
        false => text,
    }
}
