//! The publish protocol as a state space: two workers, one publication, a
//! network that may accept late, and a budget of mishaps.
//!
//! Owns what surrounds the workers: job and lease, the wire, the network, people,
//! the spill file. Invariant: every change of the publication goes through
//! `relation::allow`.

use so_engine::publish::relation::{
    self, By, Cause, Ground, Guard, Intent, Open, Rule, Spans, Step,
};
use so_model::publication::PublicationState;

use crate::{
    bugs::{Bug, rules_with},
    state::{
        ABSENT_GAP, Action, Answer, Budget, Class, Job, LEASE, Place, SETTLE, State, Try, Worker,
        at, set_place, tick, waits_for, waits_for_time,
    },
};

pub struct Protocol {
    pub class: Class,
    budget: Budget,
    pub bug: Option<Bug>,
    rules: Vec<Rule>,
    /// Every step of a worker but the telling of a yes asks for its claim.
    is_fenced: bool,
}

impl Protocol {
    pub fn new(class: Class, budget: Budget, bug: Option<Bug>) -> Self {
        let rules = rules_with(bug);
        let is_free = |rule: &Rule| {
            matches!(rule.cause, Cause::Confirmed | Cause::HeadAgain)
                || rule.guards.contains(&Guard::ByPerson)
        };
        let is_fenced = rules
            .iter()
            .all(|rule| is_free(rule) || rule.guards.contains(&Guard::Fenced));
        Self {
            class,
            budget,
            bug,
            rules,
            is_fenced: is_fenced && bug.is_none(),
        }
    }

    pub fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    pub fn settle(&self) -> i8 {
        if self.has(Bug::NoSettleWindow) {
            0
        } else {
            SETTLE
        }
    }

    pub fn gap(&self) -> i8 {
        if self.has(Bug::NoGapBetweenLooks) {
            0
        } else {
            ABSENT_GAP
        }
    }

    pub fn start(&self) -> State {
        State {
            publication: PublicationState::Due,
            epoch: 0,
            tries: 0,
            absent_since: None,
            open: None,
            job: Some(Job {
                is_held: false,
                is_woken: false,
                lease_until: 0,
                run_after: 0,
            }),
            workers: [None, None],
            calls: Vec::new(),
            public: Vec::new(),
            is_list_old: false,
            spilled: None,
            left: self.budget,
            was_published: false,
            knew: false,
            repeated_blindly: false,
            was_refused: false,
            was_decided: false,
        }
    }

    pub fn possible(&self, s: &State, actions: &mut Vec<Action>) {
        for (index, worker) in s.workers.iter().enumerate() {
            match worker {
                None if s.job.is_some_and(|job| !job.is_held && job.run_after <= 0) => {
                    actions.push(Action::Claim(index));
                    // The other idle worker would do the same.
                    if s.workers == [None, None] {
                        break;
                    }
                }
                None => {}
                Some(worker) => self.possible_for(s, index, worker, actions),
            }
        }
        for index in 0..s.calls.len() {
            actions.push(Action::Accept(index));
            if s.left.refusals > 0 && waits_for(s, s.calls[index].n).is_some() {
                actions.push(Action::Refuse(index));
            }
        }
        if let Some(job) = s.job.filter(|job| job.is_held) {
            if job.lease_until < 0 {
                actions.push(Action::Rescue);
            } else if s.left.thefts > 0 {
                actions.push(Action::Steal);
            }
        }
        if s.left.old_lists > 0 && !s.is_list_old && !s.public.is_empty() {
            actions.push(Action::OldList);
        }
        if s.spilled.is_some() {
            actions.push(Action::ReplaySpill);
        }
        let is_left = [PublicationState::NeedsReview, PublicationState::Failed];
        if s.left.people > 0 && is_left.contains(&s.publication) {
            actions.push(Action::Person);
        }
        if waits_for_time(s) {
            actions.push(Action::Tick);
        }
    }

    fn possible_for(&self, s: &State, index: usize, worker: &Worker, actions: &mut Vec<Action>) {
        if s.left.crashes > 0 {
            actions.push(Action::Crash(index));
        }
        match worker.place {
            Place::Calling | Place::YesOnTheWire => {
                if s.left.cuts > 0 {
                    actions.push(Action::CutLine(index));
                }
                if worker.own.is_none_or(|own| own.deadline <= 0) {
                    actions.push(Action::TimeOut(index));
                }
                if worker.place == Place::YesOnTheWire {
                    actions.push(Action::Go(index));
                }
            }
            place => {
                actions.push(Action::Go(index));
                if place == Place::Answered(Answer::Yes) && s.left.database_away > 0 {
                    actions.push(Action::GoWithoutDatabase(index));
                }
            }
        }
    }

    pub fn after(&self, s: &State, action: Action) -> State {
        let mut s = s.clone();
        match action {
            Action::Tick => tick(&mut s),
            Action::Claim(index) => {
                if let Some(job) = &mut s.job {
                    job.is_held = true;
                    job.lease_until = LEASE;
                }
                s.workers[index] = Some(Worker {
                    holds: true,
                    place: Place::Loaded,
                    state: s.publication,
                    epoch: s.epoch,
                    own: s.open,
                });
            }
            Action::Rescue => self.free(&mut s),
            Action::Steal => {
                s.left.thefts -= 1;
                self.free(&mut s);
            }
            Action::Crash(index) => {
                s.left.crashes -= 1;
                s.workers[index] = None;
            }
            Action::CutLine(index) => {
                s.left.cuts -= 1;
                set_place(&mut s, index, Place::Answered(Answer::Nothing));
            }
            Action::TimeOut(index) => {
                set_place(&mut s, index, Place::Answered(Answer::Nothing));
            }
            Action::Accept(index) => {
                let call = s.calls.remove(index);
                if self.class != Class::Key || s.public.is_empty() {
                    s.public.push(0);
                }
                if let Some(waiting) = waits_for(&s, call.n) {
                    set_place(&mut s, waiting, Place::YesOnTheWire);
                }
            }
            Action::Refuse(index) => {
                s.left.refusals -= 1;
                let call = s.calls.remove(index);
                if let Some(waiting) = waits_for(&s, call.n) {
                    set_place(&mut s, waiting, Place::Answered(Answer::No));
                }
            }
            Action::OldList => {
                s.left.old_lists -= 1;
                s.is_list_old = true;
            }
            Action::ReplaySpill => {
                if let Some(n) = s.spilled.take() {
                    self.store_late(&mut s, n);
                }
            }
            Action::Person => self.decide(&mut s),
            Action::Go(index) => self.go(&mut s, index),
            Action::GoWithoutDatabase(index) => {
                s.left.database_away -= 1;
                let worker = s.workers[index].take();
                s.knew = true;
                if !self.has(Bug::NoSpill) {
                    s.spilled = worker.and_then(|worker| worker.own).map(|own| own.n);
                }
            }
        }
        s.workers
            .sort_by_key(|worker| worker.map(|w| (w.holds, w.place, w.epoch)));
        s
    }

    /// The holder loses its claim; the work is due at once.
    fn free(&self, s: &mut State) {
        if let Some(job) = &mut s.job {
            job.is_held = false;
            job.is_woken = false;
            job.run_after = job.run_after.min(0);
        }
        for place in &mut s.workers {
            let Some(worker) = place else { continue };
            worker.holds = false;
            // Where the relation asks for the claim at every commit, only a call or a yes can come of it.
            let may_matter = matches!(
                worker.place,
                Place::Intended
                    | Place::Calling
                    | Place::YesOnTheWire
                    | Place::Answered(Answer::Yes)
            );
            if self.is_fenced && !may_matter {
                *place = None;
            }
        }
    }

    /// P3: an outcome without a claim, as the spill file's replay tells it.
    pub fn store_late(&self, s: &mut State, n: i8) {
        let Some(open) = s.open.filter(|open| open.n == n) else {
            return;
        };
        if relation::awaits_outcome(s.publication) {
            let (from, epoch) = (s.publication, s.epoch);
            let to = PublicationState::Published;
            self.change(
                s,
                By::Spill,
                (from, epoch),
                Cause::Confirmed,
                to,
                Some(open),
            );
        }
    }

    /// A person looks at the network and says what is there.
    fn decide(&self, s: &mut State) {
        s.left.people -= 1;
        let read = (s.publication, s.epoch);
        let own = s.open;
        if !s.public.is_empty() {
            let to = PublicationState::Published;
            self.change(s, By::Person, read, Cause::PersonSawIt, to, own);
            return;
        }
        let to = PublicationState::Due;
        if self.change(s, By::Person, read, Cause::PersonAgain, to, own) {
            s.was_decided = true;
            match &mut s.job {
                Some(job) => {
                    job.is_woken = job.is_held;
                    job.run_after = 0;
                }
                None => s.job = self.start().job,
            }
        }
    }

    pub fn change(
        &self,
        s: &mut State,
        by: By,
        (from, epoch): (PublicationState, i8),
        cause: Cause,
        to: PublicationState,
        own: Option<Try>,
    ) -> bool {
        let step = Step {
            cause,
            from,
            to,
            epoch: epoch.into(),
            by,
            attempt: own.map(Open::from),
        };
        let ground = Ground {
            state: s.publication,
            epoch: s.epoch.into(),
            open: s.open.map(Open::from),
            now: at(0),
            lease_until: at(LEASE),
            spans: Spans {
                lease_margin: relation::lease_margin(LEASE.into()),
                settle: self.settle().into(),
                absent_gap: self.gap().into(),
            },
            absent_since: s.absent_since.map(at),
        };
        let Ok(change) = relation::allow(&self.rules, &step, &ground) else {
            return false;
        };
        s.publication = to;
        s.epoch = i8::try_from(change.epoch).expect("few claims fit into a budget");
        s.was_published |= to == PublicationState::Published;
        match change.intent {
            Intent::None | Intent::Stays => {}
            Intent::Opens => s.open = own,
            Intent::Closes(_) | Intent::ClosesAny(_) => s.open = None,
        }
        true
    }
}
