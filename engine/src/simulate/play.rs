//! The play: recorded events come at their moments, and rules decide them as they do in life.
//!
//! Owns the virtual clock, what is due on it, and which recorded events still come. Must not touch a database. Invariant:
//! a recorded event that a run made comes only if the simulation has that run and it did the same until then.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::{Cause, Event, kind},
    id::{EventId, RuleId, RunId},
    run::Verdict,
    simulation::{SimulatedRule, Simulation, StartDifference, StartDiffers},
};
use so_store::history::HistoryPage;

use super::{
    Given,
    facts::Past,
    gates::{Gate, Gates},
    real::Reality,
    runs::{CallState, Ended, Sim},
    told::Told,
};
use crate::{
    admit::judge,
    config::CHAIN_EVENTS_MAX,
    decide::{
        CompiledRule, DecisionInput, FactValues, Glance, RuleIndex, WorkspaceFacts, facts_needed,
        glance, settle,
    },
    rule::Catalogue,
    schedule::{CompiledSchedule, Occurrence},
};

/// What is due at a moment.
pub(super) enum Wake {
    /// A run goes on, unless it was carried on since.
    Run(RunId, u64),
    /// A quiet spell is over.
    Quiet(RuleId, String, u64),
    /// A schedule of a draft.
    Due(RuleId, usize, Occurrence),
}

/// A simulation under way.
pub struct Play {
    pub(super) workspace: Arc<WorkspaceFacts>,
    pub(super) catalogue: Arc<Catalogue>,
    pub(super) index: RuleIndex,
    pub(super) told: Told,
    pub(super) gates: Gates,
    pub(super) past: Past,
    pub(super) reality: Reality,
    pub(super) now: Timestamp,
    pub(super) first: Timestamp,
    until: Timestamp,
    kinds: HashSet<String>,
    /// Schedules of drafts, which stand in for the recorded moments of their rules.
    schedules: HashMap<RuleId, Vec<(String, CompiledSchedule)>>,
    pub(super) wakes: BTreeMap<(Timestamp, u64), Wake>,
    pub(super) turns: u64,
    /// Events that the simulation made and that are yet to come.
    pub(super) pending: VecDeque<Arc<Event>>,
    /// Runs that can go on now.
    pub(super) ready: VecDeque<RunId>,
    pub(super) runs: HashMap<RunId, Box<Sim>>,
    pub(super) ended: HashMap<RunId, Ended>,
    pub(super) waiting: HashMap<String, Vec<RunId>>,
    pub(super) calls: HashMap<(String, String), CallState>,
    chains: HashMap<EventId, i64>,
    left_out: HashSet<EventId>,
    /// Posts and the like that were never made.
    absent: HashSet<String>,
    no_facts: FactValues,
}

impl Play {
    /// Ready for the first page.
    pub fn new(given: Given) -> Self {
        let mut told = Told::since(given.from);
        let mut schedules = HashMap::new();
        let mut rules = Vec::with_capacity(given.rules.len());
        for one in given.rules {
            let rule = one.rule;
            told.rules.insert(
                rule.id,
                SimulatedRule {
                    rule: rule.id,
                    name: rule.document.name.clone(),
                    is_draft: one.is_draft,
                    candidates: 0,
                    started: 0,
                    started_really: 0,
                    cannot_say: 0,
                    refused: Vec::new(),
                },
            );
            if let Some(own) = one.schedules {
                schedules.insert(rule.id, own);
            }
            rules.push(rule);
        }
        let mut play = Self {
            workspace: Arc::new(given.workspace),
            catalogue: given.catalogue,
            index: RuleIndex::build(rules),
            told,
            gates: Gates::default(),
            past: Past::new(given.published, given.published_since),
            reality: Reality::default(),
            now: given.first,
            first: given.first,
            until: given.until,
            kinds: given.kinds.into_iter().collect(),
            schedules,
            wakes: BTreeMap::new(),
            turns: 0,
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            runs: HashMap::new(),
            ended: HashMap::new(),
            waiting: HashMap::new(),
            calls: HashMap::new(),
            chains: HashMap::new(),
            left_out: HashSet::new(),
            absent: HashSet::new(),
            no_facts: FactValues::default(),
        };
        let due: Vec<(RuleId, usize)> = play
            .schedules
            .iter()
            .flat_map(|(rule, own)| (0..own.len()).map(|number| (*rule, number)))
            .collect();
        for (rule, number) in due {
            play.plan_due(rule, number, given.first);
        }
        play
    }

    /// Plays the events of a page.
    pub fn page(&mut self, page: HistoryPage) {
        for run in &page.runs {
            self.told.really_started(run.rule, run.created_at);
        }
        self.reality.note(page.runs, page.memos);
        self.past.note(page.seen);
        for (event, at) in page.events {
            if self.kinds.is_empty() || self.kinds.contains(&event.kind) {
                self.recorded(event, at);
            }
        }
    }

    /// The range is cut here: nothing of what follows was played.
    pub fn cut(&mut self, at: Timestamp) {
        self.told.incomplete_from = Some(at);
        self.until = self.until.min(at);
    }

    /// Plays to the end of the range and tells.
    pub fn finish(mut self) -> Simulation {
        let until = self.until;
        self.advance_to(until);
        self.end_of_range();
        for real in self.reality.left() {
            let (rule, run) = (real.run.rule, &real.run);
            let text = match (self.left_out.contains(&run.event), self.index.get(rule)) {
                (true, _) => "its event would not have come",
                (_, None) => "the rule is not among those that are simulated",
                _ => "the rule does not listen to this event, or waits for its quiet spell",
            };
            let effects = real.effects();
            let action_of = self.action_of(rule);
            self.told.calls(&effects, action_of, true);
            self.differs(
                StartDiffers::OnlyRecorded,
                run.rule,
                run.event,
                "",
                run.created_at,
                Some(run.id),
                text,
            );
        }
        self.told.finish(until)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a rule, an event and a run, and what of them"
    )]
    pub(super) fn differs(
        &mut self,
        what: StartDiffers,
        rule: RuleId,
        event: EventId,
        event_kind: &str,
        at: Timestamp,
        run: Option<RunId>,
        text: impl Into<String>,
    ) {
        let name = self.told.rules.get(&rule).map(|rule| rule.name.clone());
        self.told.differs(StartDifference {
            what,
            rule,
            rule_name: name.unwrap_or_default(),
            event,
            event_kind: event_kind.to_owned(),
            at,
            run,
            text: text.into(),
        });
    }

    /// An event as history has it, at the moment it was stored.
    fn recorded(&mut self, event: Event, at: Timestamp) {
        self.told.events += 1;
        self.advance_to(at);
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

    /// The clock goes on; what is due on the way is done at its moment.
    fn advance_to(&mut self, at: Timestamp) {
        while let Some(entry) = self.wakes.first_entry() {
            if entry.key().0 > at {
                break;
            }
            let ((due, _), wake) = entry.remove_entry();
            self.now = self.now.max(due);
            match wake {
                Wake::Run(run, turn) => {
                    if self.runs.get(&run).is_some_and(|sim| sim.turn == turn) {
                        self.ready.push_back(run);
                    }
                }
                Wake::Quiet(rule, key, turn) => self.quiet_is_over(rule, &key, turn),
                Wake::Due(rule, number, occurrence) => {
                    self.due(rule, number, &occurrence);
                    self.plan_due(rule, number, due);
                }
            }
            self.settle();
        }
        self.now = self.now.max(at);
    }

    pub(super) fn wake_at(&mut self, at: Timestamp, wake: Wake) {
        if at < self.until {
            self.turns += 1;
            self.wakes.insert((at, self.turns), wake);
        }
    }

    fn plan_due(&mut self, rule: RuleId, number: usize, after: Timestamp) {
        let own = self.schedules.get(&rule).and_then(|own| own.get(number));
        if let Some(next) = own.and_then(|(_, schedule)| schedule.next_after(after.micros())) {
            let at = Timestamp::from_micros(next.at_micros);
            self.wake_at(at, Wake::Due(rule, number, next));
        }
    }

    fn due(&mut self, rule: RuleId, number: usize, at: &Occurrence) {
        let own = self.schedules.get(&rule).and_then(|own| own.get(number));
        let Some((trigger, _)) = own else { return };
        let moment = Timestamp::from_micros(at.at_micros);
        let occurrence = json!({"at": moment, "local": at.local, "zone": at.zone,
                                "explanation": at.explanation()});
        let data =
            json!({"rule": rule, "trigger": trigger, "occurrence": occurrence, "late_by_s": 0});
        let source = format!("rule/{rule}/{trigger}");
        let dedupe = format!("{}@{moment}", kind::TIME_DUE);
        let event = self.made(
            kind::TIME_DUE,
            &source,
            &dedupe,
            rule.to_string(),
            data,
            Cause::default(),
        );
        self.pending.push_back(event);
    }

    /// An event that only the simulation has.
    pub(super) fn made(
        &mut self,
        kind: &str,
        source: &str,
        dedupe: &str,
        subject: String,
        data: Value,
        cause: Cause,
    ) -> Arc<Event> {
        self.told.made += 1;
        Arc::new(Event {
            id: EventId::derived(&["simulated", source, dedupe]),
            workspace: self.workspace.id,
            kind: kind.to_owned(),
            source: source.to_owned(),
            dedupe: dedupe.to_owned(),
            subject: Some(subject),
            time: self.now,
            data,
            cause,
        })
    }

    /// Everything that can be done at this moment.
    fn settle(&mut self) {
        loop {
            if let Some(event) = self.pending.pop_front() {
                self.event(&event);
            } else if let Some(run) = self.ready.pop_front() {
                self.carry(run);
            } else {
                return;
            }
        }
    }

    fn event(&mut self, event: &Arc<Event>) {
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
            self.past.forget(event.id, rule.id);
        }
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
        let started = self.reality.peek(rule.id, event).map(|real| &real.run);
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

    fn quiet_is_over(&mut self, rule: RuleId, key: &str, turn: u64) {
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
                Some(real.run.id),
                text,
            );
        }
    }

    fn only_recorded(&mut self, rule: &CompiledRule, event: &Event, reason: &str) {
        if let Some(real) = self.reality.take(rule.id, event.id) {
            let effects = real.effects();
            let action_of = self.action_of(rule.id);
            self.told.calls(&effects, action_of, true);
            let (at, run) = (real.run.created_at, Some(real.run.id));
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
