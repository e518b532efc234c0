//! The play: recorded events come at their moments, and rules decide them as they do in life.
//!
//! Owns the virtual clock and what is due on it. Must not touch a database. Invariant: what is due is done at its moment,
//! in the order in which it was planned, and before the event that comes after it.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    event::{Cause, Event, kind},
    id::{EventId, RuleId, RunId},
    simulation::{SimulatedRule, Simulation, StartDifference, StartDiffers},
};
use so_store::history::HistoryPage;

use super::{
    Given,
    calls::CallState,
    comes::Ahead,
    facts::Past,
    gates::Gates,
    real::{Real, Reality},
    runs::{Ended, Sim},
    told::Told,
};
use crate::{
    decide::{FactValues, RuleIndex, WorkspaceFacts},
    rule::Catalogue,
    schedule::{CompiledSchedule, Occurrence},
};

/// Runs, recorded runs and due moments that are kept at the same time: some two hundred megabytes.
pub const HELD_MAX: usize = 100_000;
/// What is due and done before others on the thread have their turn.
const WAKES_AT_ONCE: usize = 256;

/// The id of a run that history does not hold.
pub(super) fn simulated_run(rule: RuleId, event: EventId) -> RunId {
    RunId::derived(&["simulated", &rule.to_string(), &event.to_string()])
}

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
    pub(super) kinds: HashSet<String>,
    pub(super) held_max: usize,
    /// Schedules of drafts, which stand in for the recorded moments of their rules.
    pub(super) schedules: HashMap<RuleId, Vec<(String, CompiledSchedule)>>,
    pub(super) wakes: BTreeMap<(Timestamp, u64), Wake>,
    pub(super) turns: u64,
    /// What was due since others had their turn.
    woken: usize,
    /// Events that the simulation made and that are yet to come.
    pub(super) pending: VecDeque<Arc<Event>>,
    /// Runs that can go on now.
    pub(super) ready: VecDeque<RunId>,
    pub(super) runs: HashMap<RunId, Box<Sim>>,
    pub(super) ended: HashMap<RunId, Ended>,
    pub(super) waiting: HashMap<String, Vec<RunId>>,
    pub(super) calls: HashMap<(String, String), CallState>,
    /// Calls that runs made which were let go: the recorded event of each, until the simulation makes the call too.
    pub(super) expected: HashMap<(String, String), EventId>,
    /// Recorded events of calls that the simulation has made.
    pub(super) come: HashSet<EventId>,
    pub(super) chains: HashMap<EventId, i64>,
    pub(super) left_out: HashSet<EventId>,
    /// Posts and the like that were never made.
    pub(super) absent: HashSet<String>,
    pub(super) no_facts: FactValues,
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
            held_max: HELD_MAX,
            schedules,
            wakes: BTreeMap::new(),
            turns: 0,
            woken: 0,
            pending: VecDeque::new(),
            ready: VecDeque::new(),
            runs: HashMap::new(),
            ended: HashMap::new(),
            waiting: HashMap::new(),
            calls: HashMap::new(),
            expected: HashMap::new(),
            come: HashSet::new(),
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

    /// Plays the events of a page; no, if the simulation ends within it for want of room.
    pub async fn page(&mut self, page: HistoryPage) -> bool {
        let events = page.events;
        let mut ahead = Ahead::of(page.runs, page.memos, page.let_go, page.seen);
        for (event, _) in &events {
            self.expect_call(event, &mut ahead);
        }
        let mut has_room = true;
        for (event, at) in events {
            self.advance_to(at).await;
            if self.is_cut() {
                has_room = false;
                break;
            }
            if self.has_come(&event) {
                continue;
            }
            if !self.is_chosen(&event) {
                self.only_awaited(event);
                continue;
            }
            self.note(event.id, &mut ahead);
            self.recorded(event);
            if self.held() > self.held_max {
                self.cut(at);
                has_room = false;
                break;
            }
        }
        let index = &self.index;
        let gone = self.reality.take_of(|rule| index.get(rule).is_none());
        self.only_real(gone);
        has_room
    }

    /// What is kept at the same time: runs, recorded runs that are not met yet, and what is due.
    fn held(&self) -> usize {
        (self.runs.len() + self.reality.len()).max(self.wakes.len())
    }

    /// The range is cut here: nothing of what follows was played.
    pub fn cut(&mut self, at: Timestamp) {
        self.told.incomplete_from = Some(at);
        self.until = self.until.min(at);
    }

    fn is_cut(&self) -> bool {
        self.told.incomplete_from.is_some()
    }

    /// Plays to the end of the range and tells.
    pub async fn finish(mut self) -> Simulation {
        self.advance_to(self.until).await;
        let until = self.until;
        self.end_of_range();
        let left = self.reality.take_of(|_| true);
        self.only_real(left);
        self.told.finish(until)
    }

    /// Recorded runs that the simulation does not meet any more.
    fn only_real(&mut self, left: Vec<Real>) {
        for real in left {
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
                real.id(),
                text,
            );
        }
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

    /// The clock goes on; what is due on the way is done at its moment.
    ///
    /// Others on this thread have their turn now and then, and whoever gives a simulation up can.
    async fn advance_to(&mut self, at: Timestamp) {
        while let Some(entry) = self.wakes.first_entry() {
            // Nothing is done beyond the end, also if that has come nearer.
            if entry.key().0 > at.min(self.until) {
                break;
            }
            self.woken += 1;
            if self.woken >= WAKES_AT_ONCE {
                self.woken = 0;
                if self.held() > self.held_max && !self.is_cut() {
                    self.cut(self.now);
                }
                tokio::task::yield_now().await;
                continue;
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
    pub(super) fn settle(&mut self) {
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
}
