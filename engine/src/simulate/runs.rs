//! Simulated runs: begun, carried on, ended, and held against the recorded ones.
//!
//! Owns what actions answer. Must not perform anything. Invariant: an answer is the recorded one where the same try of
//! the same step was made with the same parameters; else it is a model's or the action's sample, and the run says so.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::{Cause, Event, kind},
    id::{RuleId, RunId},
    rule::{RuleDocument, Step, StepBody},
    run::{ConditionTrace, Memo, Run, RunState},
    simulation::{SimulatedEffect, SimulatedEnd, SimulatedStart, StartDiffers},
};

use super::{
    play::{Play, Wake, simulated_run},
    real::{Real, difference, effects},
};
use crate::{
    admit::ModeSays,
    decide::{CompiledRule, FactValues},
    plugin::ActionError,
    run::{Answer, Around, Call, DryRun, Got, Known, Memos, RunContext, shorten},
};

/// The action whose effect is another run.
const RULE_CALL: &str = "rule.call";
/// A run that is not over.
pub(super) struct Sim {
    pub(super) dry: DryRun,
    real: Option<Real>,
    /// Actions whose answers are assumed.
    assumed: BTreeSet<String>,
    /// It did something else than the recorded run.
    pub(super) is_diverged: bool,
    pub(super) is_queued: bool,
    /// Counts how often it was carried on; an older wake is void.
    pub(super) turn: u64,
    waits_for: Vec<String>,
}

impl Sim {
    /// The recorded run in its place was let go.
    pub(super) fn is_gone(&self) -> bool {
        self.real.as_ref().is_some_and(|real| real.is_gone)
    }
}

/// A run that is over.
pub(super) struct Ended {
    pub(super) is_diverged: bool,
    pub(super) has_failed: bool,
}

impl Play {
    /// Begins a run unless its mode forbids.
    pub(super) fn start(
        &mut self,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        event: &Arc<Event>,
        key: String,
    ) -> Result<RunId, String> {
        let (says, active) = self.gates.mode(rule, &key);
        match &says {
            ModeSays::No(reason) => return Err(reason.clone()),
            ModeSays::Restart => {
                let reason = "a later start took its place (mode restart)";
                for run in active {
                    self.end(run, RunState::Cancelled, Some(reason.to_owned()), false);
                }
            }
            ModeSays::Run | ModeSays::Queue => {}
        }
        let real = self.reality.take(rule.id, event.id);
        let derived = || simulated_run(rule.id, event.id);
        let id = real.as_ref().map_or_else(derived, |real| real.run.id);
        let is_queued = says == ModeSays::Queue;
        let run = Run {
            id,
            workspace: rule.workspace,
            rule: rule.id,
            version: rule.version,
            event: event.id,
            trigger: rule.trigger_facts(trigger).id.to_owned(),
            state: RunState::Running,
            key: key.clone(),
            decision: ConditionTrace::unconditional(),
            reason: None,
            created_at: self.now,
            finished_at: None,
        };
        self.gates.begin(rule, &key, id, self.now);
        let cx = RunContext {
            run,
            event: event.clone(),
            rule: rule.clone(),
            workspace: self.workspace.clone(),
            memos: Memos::default(),
        };
        let sim = Sim {
            dry: DryRun::new(cx),
            real,
            assumed: BTreeSet::new(),
            is_diverged: false,
            is_queued,
            turn: 0,
            waits_for: Vec::new(),
        };
        self.runs.insert(id, Box::new(sim));
        if !is_queued {
            self.ready.push_back(id);
        }
        Ok(id)
    }

    /// Carries a run on as far as this moment allows.
    pub(super) fn carry(&mut self, id: RunId) {
        let Some(mut sim) = self.runs.remove(&id) else {
            return;
        };
        let now = self.now;
        let mut here = Here {
            play: self,
            real: sim.real.as_ref(),
            assumed: &mut sim.assumed,
            is_diverged: &mut sim.is_diverged,
        };
        let got = sim.dry.carry(&mut here, now);
        sim.turn += 1;
        self.stop_waiting(id, &mut sim);
        let turn = sim.turn;
        if matches!(got, Got::Until(_) | Got::Sleeps) {
            sim.waits_for = sim.dry.waits_for();
            for kind in &sim.waits_for {
                self.waiting.entry(kind.clone()).or_default().push(id);
            }
        }
        self.runs.insert(id, sim);
        match got {
            Got::Sleeps => {}
            Got::Until(at) => self.wake_at(at, Wake::Run(id, turn)),
            Got::Over(state, reason) => self.end(id, state, reason, false),
            Got::Unknown(fact) => {
                let text = "history does not hold its value at that moment, so a step's branch is not known";
                if let Some(sim) = self.runs.get(&id) {
                    let rule = sim.dry.cx.run.rule;
                    self.told.unknown(rule, &fact, text.into(), now);
                }
                self.end(id, RunState::Cancelled, Some(fact), true);
            }
        }
    }

    fn stop_waiting(&mut self, id: RunId, sim: &mut Sim) {
        for kind in sim.waits_for.drain(..) {
            if let Some(runs) = self.waiting.get_mut(&kind) {
                runs.retain(|run| *run != id);
                if runs.is_empty() {
                    self.waiting.remove(&kind);
                }
            }
        }
    }

    /// An event came: whoever waits for it goes on.
    pub(super) fn tell_waiting(&mut self, event: &Arc<Event>) {
        let waiting = self.waiting.get(&event.kind).cloned().unwrap_or_default();
        let now = self.now;
        for id in waiting {
            let Some(mut sim) = self.runs.remove(&id) else {
                continue;
            };
            let mut here = Here {
                play: self,
                real: sim.real.as_ref(),
                assumed: &mut sim.assumed,
                is_diverged: &mut sim.is_diverged,
            };
            if sim.dry.meet(&mut here, event, now) {
                self.ready.push_back(id);
            }
            self.runs.insert(id, sim);
        }
    }

    /// A run is over.
    fn end(&mut self, id: RunId, state: RunState, reason: Option<String>, is_unknown: bool) {
        let Some(mut sim) = self.runs.remove(&id) else {
            return;
        };
        self.stop_waiting(id, &mut sim);
        let (rule, key) = (sim.dry.cx.run.rule, sim.dry.cx.run.key.clone());
        if let Some(next) = self.gates.end(rule, &key, id)
            && let Some(waiting) = self.runs.get_mut(&next)
            && waiting.is_queued
        {
            waiting.is_queued = false;
            self.ready.push_back(next);
        }
        let has_failed = state == RunState::Failed;
        let failed_really = sim.real.as_ref();
        let failed_really = failed_really.is_some_and(|real| real.run.state == RunState::Failed);
        if has_failed && (sim.is_diverged || !failed_really) {
            self.run_failed(&sim, reason.as_deref());
        }
        self.wake_caller(&sim, state, reason.as_deref());
        let ended = Ended {
            is_diverged: sim.is_diverged,
            has_failed: has_failed || is_unknown,
        };
        self.ended.insert(id, ended);
        let end = match is_unknown {
            true => SimulatedEnd::CannotSay,
            false => SimulatedEnd::of(state),
        };
        self.tell(*sim, end, state, reason);
    }

    fn run_failed(&mut self, sim: &Sim, reason: Option<&str>) {
        let (run, rule) = (&sim.dry.cx.run, &sim.dry.cx.rule);
        let data = json!({"run": {"id": run.id, "rule": run.rule,
            "rule_name": rule.document.name, "reason": reason, "event": run.event}});
        let cause = Cause::of(&sim.dry.cx.event, run.id, run.rule);
        let id = run.id.to_string();
        let event = self.made(
            kind::RUN_FAILED,
            "engine",
            &format!("failed/{id}"),
            id,
            data,
            cause,
        );
        self.pending.push_back(event);
    }

    /// What is still under way when the range is over.
    pub(super) fn end_of_range(&mut self) {
        let mut left: Vec<_> = self.runs.drain().collect();
        left.sort_unstable_by_key(|(id, _)| *id);
        for (_, sim) in left {
            self.tell(*sim, SimulatedEnd::Waiting, RunState::Waiting, None);
        }
    }

    fn tell(&mut self, sim: Sim, end: SimulatedEnd, state: RunState, reason: Option<String>) {
        let Sim {
            dry, real, assumed, ..
        } = sim;
        let run = &dry.cx.run;
        let document = &dry.cx.rule.document;
        let action = |memo: &Memo| action_of(document, &memo.step).unwrap_or_default();
        let did = effects(dry.ended.iter(), action);
        let action_of = self.action_of(run.rule);
        self.told.calls(&did, &action_of, false);
        let (rule, event) = (run.rule, run.event);
        let event_kind = dry.cx.event.kind.clone();
        if end == SimulatedEnd::CannotSay {
            self.told.cannot_say(rule, run.created_at);
        }
        match real {
            None if end == SimulatedEnd::CannotSay => {}
            None => {
                let text = match assumed.is_empty() {
                    true => "it starts".to_owned(),
                    false => {
                        let names: Vec<&str> = assumed.iter().map(String::as_str).collect();
                        format!(
                            "it starts; what {} would answer is assumed",
                            names.join(", ")
                        )
                    }
                };
                let at = run.created_at;
                self.differs(
                    StartDiffers::OnlySimulated,
                    rule,
                    event,
                    &event_kind,
                    at,
                    None,
                    text,
                );
            }
            Some(real) => {
                let was = real.effects();
                self.told.calls(&was, &action_of, true);
                let what = match end {
                    SimulatedEnd::CannotSay => Some((
                        StartDiffers::CannotSay,
                        format!(
                            "what it does hangs on the fact {}, which history does not hold",
                            reason.as_deref().unwrap_or_default()
                        ),
                    )),
                    _ if real.is_gone => None,
                    _ => difference(&was, &did, (over(real.run.state), over(state)))
                        .map(|text| (StartDiffers::Otherwise, text)),
                };
                match what {
                    Some((what, text)) => {
                        let (at, id) = (run.created_at, real.id());
                        self.differs(what, rule, event, &event_kind, at, id, text);
                    }
                    None if real.is_gone => {
                        let text = "its run was let go, so that it started is all that is known of what happened";
                        self.told.unknown(rule, "run", text.into(), run.created_at);
                    }
                    None if run.created_at >= self.told.from => self.told.same += 1,
                    None => {}
                }
            }
        }
        self.told.start(SimulatedStart {
            rule,
            trigger: run.trigger.clone(),
            event,
            event_kind,
            at: run.created_at,
            end,
            reason: reason.filter(|reason| !reason.is_empty()),
            assumed: assumed.into_iter().collect(),
            effects: did,
        });
    }

    /// Names the action of a step, if it is a call to the outside.
    pub(super) fn action_of(
        &self,
        rule: RuleId,
    ) -> impl Fn(&SimulatedEffect) -> Option<String> + use<> {
        let rule = self.index.get(rule).cloned();
        let catalogue = self.catalogue.clone();
        move |effect| {
            let action = match effect.action.is_empty() {
                true => action_of(&rule.as_ref()?.document, &effect.step)?,
                false => effect.action.clone(),
            };
            let spec = catalogue.actions.get(&action)?;
            spec.is_remote.then_some(action)
        }
    }
}

/// Every state that is not over is the same.
fn over(state: RunState) -> RunState {
    match state.is_over() {
        true => state,
        false => RunState::Waiting,
    }
}

pub(super) fn action_of(document: &RuleDocument, id: &str) -> Option<String> {
    fn among(steps: &[Step], id: &str) -> Option<String> {
        steps.iter().find_map(|step| inside(step, id))
    }
    fn inside(step: &Step, id: &str) -> Option<String> {
        if step.id == id {
            return match &step.body {
                StepBody::Action(body) => Some(body.action.clone()),
                _ => None,
            };
        }
        let below = match &step.body {
            StepBody::If(body) => among(&body.then, id).or_else(|| among(&body.otherwise, id)),
            StepBody::Choose(body) => {
                let ways = body.choose.iter().find_map(|way| among(&way.then, id));
                ways.or_else(|| among(&body.otherwise, id))
            }
            StepBody::ForEach(body) => among(&body.steps, id),
            StepBody::Parallel(body) => body.parallel.iter().find_map(|steps| among(steps, id)),
            _ => None,
        };
        below.or_else(|| among(&step.on_error, id))
    }
    among(&document.steps, id)
}

/// What is around one run.
pub(super) struct Here<'a> {
    pub(super) play: &'a mut Play,
    real: Option<&'a Real>,
    assumed: &'a mut BTreeSet<String>,
    is_diverged: &'a mut bool,
}

impl Around for Here<'_> {
    fn facts(&mut self, cx: &RunContext, place: &str, now: Timestamp) -> Known {
        let mut known = Known {
            values: FactValues::default(),
            missing: None,
        };
        for request in cx.facts_asked(place, now) {
            let about = (cx.event.id, cx.run.rule);
            let play = &self.play;
            let value = play
                .past
                .fact(&request, about, &play.gates, play.first, now);
            match value {
                Some(value) => {
                    known.values.insert(request.key, value);
                }
                None => known.missing = known.missing.or(Some(request.fact)),
            }
        }
        known
    }

    fn answer(&mut self, call: &Call<'_>) -> Answer {
        let input = shorten(call.with.clone());
        let real = self.real.filter(|real| !real.is_gone);
        let recorded = real.and_then(|real| real.memo(call.path, call.attempt));
        let recorded = recorded.filter(|memo| memo.input == input);
        if recorded.is_none() && real.is_some() {
            *self.is_diverged = true;
        }
        if call.body.action == RULE_CALL {
            return self.rule_call(call, recorded);
        }
        if let Some(memo) = recorded {
            let Some(ended) = memo.finished_at else {
                // It still waited when history was read.
                return Answer::Wait(memo.output.clone(), None);
            };
            let began = call
                .cx
                .memos
                .get(call.path)
                .filter(|_| call.waited.is_some());
            let began = began.map_or(call.now, |memo| memo.started_at);
            let until = began.plus(ended.since(memo.started_at).max(0));
            return match until > call.now {
                true => Answer::Wait(Value::Null, Some(until)),
                false => Answer::As(Box::new(memo.clone())),
            };
        }
        self.assume(call)
    }
}

impl Here<'_> {
    fn assume(&mut self, call: &Call<'_>) -> Answer {
        let action = &call.body.action;
        self.assumed.insert(action.clone());
        let play = &mut *self.play;
        let Some(spec) = play.catalogue.actions.get(action).cloned() else {
            let reason = format!("this server has no action {action}");
            return Answer::Failed(ActionError::fail("", reason));
        };
        for kind in &spec.emits {
            let listens = |rule: &Arc<CompiledRule>| {
                let mut kinds = rule
                    .triggers
                    .iter()
                    .flat_map(|trigger| &trigger.event_kinds);
                kinds.any(|one| one == kind)
            };
            // What followed from a call of a run that was let go is in history.
            let is_gone = self.real.is_some_and(|real| real.is_gone);
            if !is_gone
                && play
                    .index
                    .of_workspace(play.workspace.id)
                    .iter()
                    .any(listens)
            {
                let text = format!(
                    "{action} was not called so in reality, and what would follow from its {kind} is not known"
                );
                play.told.unknown(call.cx.run.rule, kind, text, call.now);
            }
        }
        Answer::Done(spec.sample_output)
    }
}
