//! The publish protocol as a state space: two workers, one publication, a
//! network that may accept late, and a budget of mishaps.
//!
//! Owns the surroundings of the relation: job and lease, the workers' way
//! between two commits, the wire, the network. Every change of the publication
//! goes through `relation::allow`. Moments are ticks counted from now.

use so_engine::publish::relation::{
    self, Absence, By, Cause, Ground, Guard, Intent, Open, Rule, Spans, Step, Work,
};
use so_model::{Timestamp, publication::PublicationState};

use crate::bugs::{Bug, rules_with};

/// A call may last one tick.
const CALL: i8 = 1;
/// A lease: the call, its margin, and time to begin.
const LEASE: i8 = 3;
/// The network may accept this long after the deadline…
const LATE: i8 = 1;
/// …and lists what it accepted after this.
const LISTING_LAG: i8 = 1;
/// So this is how long it must be waited.
const SETTLE: i8 = LATE + LISTING_LAG;
/// A look that is out of date is so for less than this.
const ABSENT_GAP: i8 = 1;
/// Tries before the publication fails.
const TRIES_MAX: i8 = 2;
/// Farther back nothing is compared any more.
const PAST: i8 = -4;

/// What a network offers against doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A key given again has no second effect; posts can be listed.
    Key,
    /// Posts can be listed.
    Listing,
    /// Nothing can be asked.
    Blind,
}

/// How often each mishap may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Budget {
    pub crashes: u8,
    pub thefts: u8,
    pub cuts: u8,
    pub refusals: u8,
    pub old_lists: u8,
    pub database_away: u8,
    pub people: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Try {
    n: i8,
    epoch: i8,
    intent_at: i8,
    deadline: i8,
}

impl From<Try> for Open {
    fn from(it: Try) -> Self {
        Self {
            n: it.n.into(),
            epoch: it.epoch.into(),
            intent_at: at(it.intent_at),
            deadline_at: at(it.deadline),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    Yes,
    No,
    Nothing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Finding {
    One,
    Absent,
    Several,
    CannotTell,
}

/// Between which two commits or calls a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    Loaded,
    Prepared,
    /// Only with a bug: the call is out and there is no intent.
    CalledFirst,
    Intended,
    Calling,
    YesOnTheWire,
    Answered(Answer),
    Asking {
        asked_at: i8,
    },
    Found {
        what: Finding,
        asked_at: i8,
        told_at: i8,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Worker {
    /// Its claim of the job was not taken from it.
    holds: bool,
    place: Place,
    /// The publication as it read or wrote it last.
    state: PublicationState,
    epoch: i8,
    own: Option<Try>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    n: i8,
    until: i8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub publication: PublicationState,
    epoch: i8,
    tries: i8,
    absent_since: Option<i8>,
    open: Option<Try>,
    job: Option<Job>,
    workers: [Option<Worker>; 2],
    calls: Vec<Call>,
    /// When each public effect came about.
    pub public: Vec<i8>,
    is_list_old: bool,
    spilled: Option<i8>,
    left: Budget,
    /// Facts for the properties.
    pub was_published: bool,
    pub knew: bool,
    pub repeated_blindly: bool,
    was_refused: bool,
    was_decided: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    is_held: bool,
    is_woken: bool,
    lease_until: i8,
    run_after: i8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    Tick,
    Claim(usize),
    Rescue,
    Steal,
    Crash(usize),
    Go(usize),
    GoWithoutDatabase(usize),
    CutLine(usize),
    TimeOut(usize),
    Accept(usize),
    Refuse(usize),
    OldList,
    ReplaySpill,
    Person,
}

pub struct Protocol {
    pub class: Class,
    budget: Budget,
    bug: Option<Bug>,
    rules: Vec<Rule>,
    /// Every step of a worker but the telling of a yes asks for its claim.
    is_fenced: bool,
}

fn at(tick: i8) -> Timestamp {
    Timestamp::from_micros(tick.into())
}

fn ticks(moment: Timestamp) -> i8 {
    i8::try_from(moment.micros()).expect("the model's moments are small")
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

    fn has(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn settle(&self) -> i8 {
        if self.has(Bug::NoSettleWindow) {
            0
        } else {
            SETTLE
        }
    }

    fn gap(&self) -> i8 {
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

    /// A worker goes on to its next commit or call.
    fn go(&self, s: &mut State, index: usize) {
        let Some(mut worker) = s.workers[index].take() else {
            return;
        };
        let goes_on = match worker.place {
            Place::Loaded => self.begin(s, &mut worker),
            Place::Prepared if self.has(Bug::CallBeforeIntent) => {
                let n = s.tries + 1;
                self.call(
                    s,
                    Call {
                        n,
                        until: CALL + LATE,
                    },
                );
                worker.place = Place::CalledFirst;
                true
            }
            Place::Prepared | Place::CalledFirst => self.intend(s, &mut worker),
            Place::Intended => {
                let own = worker.own.expect("an intent comes before its call");
                if relation::may_call(&own.into(), at(0)) || self.has(Bug::CallAfterDeadline) {
                    // The bytes leave; they may be taken until a while after the deadline.
                    let until = own.deadline.max(0) + LATE;
                    self.call(s, Call { n: own.n, until });
                    worker.place = Place::Calling;
                    true
                } else {
                    put_off(s, &worker, 0);
                    false
                }
            }
            Place::YesOnTheWire => {
                worker.place = Place::Answered(Answer::Yes);
                true
            }
            Place::Calling => true,
            Place::Answered(answer) => {
                self.settle_answer(s, &worker, answer);
                false
            }
            Place::Asking { asked_at } => {
                worker.place = Place::Found {
                    what: self.find(s),
                    asked_at,
                    told_at: 0,
                };
                true
            }
            Place::Found {
                what,
                asked_at,
                told_at,
            } => {
                self.settle_finding(s, &worker, what, asked_at, told_at);
                false
            }
        };
        if goes_on {
            s.workers[index] = Some(worker);
        }
    }

    fn begin(&self, s: &mut State, worker: &mut Worker) -> bool {
        let work = match (self.bug, worker.state) {
            (
                Some(Bug::NewAttemptAfterUnknown),
                PublicationState::Unknown | PublicationState::Sending,
            ) => Work::Send,
            _ => relation::work_for(worker.state),
        };
        match work {
            Work::Send => {
                let to = PublicationState::Preparing;
                let is_taken = self.step(s, worker, Cause::Claimed, to, None);
                worker.place = Place::Prepared;
                is_taken
            }
            Work::MarkUnknown => {
                self.mark_unknown(s, worker);
                false
            }
            Work::Reconcile => self.ask(s, worker),
            Work::Nothing => {
                finish(s, worker);
                false
            }
        }
    }

    fn ask(&self, s: &mut State, worker: &mut Worker) -> bool {
        let Some(own) = worker.own else {
            let to = PublicationState::NeedsReview;
            if self.step(s, worker, Cause::AttemptGone, to, None) {
                finish(s, worker);
            }
            return false;
        };
        let settled_at = self.settled_at(own);
        if settled_at > 0 {
            put_off(s, worker, settled_at);
            return false;
        }
        if worker.state == PublicationState::Unknown {
            let to = PublicationState::Reconciling;
            if !self.step(s, worker, Cause::Asked, to, Some(own)) {
                return false;
            }
        }
        worker.place = Place::Asking { asked_at: 0 };
        true
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

    fn settled_at(&self, own: Try) -> i8 {
        ticks(relation::settled_at(&own.into(), self.settle().into()))
    }

    fn intend(&self, s: &mut State, worker: &mut Worker) -> bool {
        let n = s.tries + 1;
        let deadline = ticks(relation::deadline(at(0), CALL.into(), LEASE.into()));
        let own = Try {
            n,
            epoch: worker.epoch,
            intent_at: 0,
            deadline,
        };
        let was_called = worker.place == Place::CalledFirst;
        let to = PublicationState::Sending;
        if !self.step(s, worker, Cause::Intended, to, Some(own)) {
            return false;
        }
        s.tries = n;
        if let Some(job) = &mut s.job {
            job.lease_until = LEASE;
        }
        worker.own = Some(own);
        worker.place = match was_called {
            true => Place::Calling,
            false => Place::Intended,
        };
        true
    }

    fn call(&self, s: &mut State, call: Call) {
        let is_repeat = call.n > 1 && !s.was_refused && !s.was_decided;
        s.repeated_blindly |= self.class == Class::Blind && is_repeat;
        s.was_refused = false;
        s.was_decided = false;
        s.calls.push(call);
    }

    fn mark_unknown(&self, s: &mut State, worker: &mut Worker) {
        let Some(own) = worker.own else { return };
        let to = PublicationState::Unknown;
        if self.step(s, worker, Cause::Silent, to, Some(own)) {
            match self.has(Bug::ForgetsDoubt) {
                true => finish(s, worker),
                false => put_off(s, worker, self.settled_at(own)),
            }
        }
    }

    fn settle_answer(&self, s: &mut State, worker: &Worker, answer: Answer) {
        let mut worker = *worker;
        let own = worker.own.expect("an answer belongs to an attempt");
        match answer {
            Answer::Nothing => self.mark_unknown(s, &mut worker),
            Answer::No => {
                let to = self.next_try(s);
                if self.step(s, &mut worker, Cause::Refused, to, Some(own)) {
                    s.was_refused = true;
                    self.after_refusal(s, &worker, to);
                }
            }
            Answer::Yes => {
                s.knew = true;
                let to = PublicationState::Published;
                if worker.holds && self.step(s, &mut worker, Cause::Confirmed, to, Some(own)) {
                    finish(s, &worker);
                } else if !self.has(Bug::LateYesIsDropped) {
                    self.store_late(s, own.n);
                }
            }
        }
    }

    /// P3: an outcome without a claim, as the spill file's replay tells it.
    fn store_late(&self, s: &mut State, n: i8) {
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

    fn next_try(&self, s: &State) -> PublicationState {
        match s.tries >= TRIES_MAX {
            true => PublicationState::Failed,
            false => PublicationState::RetryWait,
        }
    }

    fn after_refusal(&self, s: &mut State, worker: &Worker, to: PublicationState) {
        match to {
            PublicationState::RetryWait => put_off(s, worker, 0),
            _ => finish(s, worker),
        }
    }

    fn find(&self, s: &State) -> Finding {
        if self.class == Class::Blind {
            return match self.has(Bug::BlindIsTakenForAbsent) {
                true => Finding::Absent,
                false => Finding::CannotTell,
            };
        }
        let is_listed = |since: &&i8| **since + LISTING_LAG <= 0;
        match s.public.iter().filter(is_listed).count() {
            _ if s.is_list_old => Finding::Absent,
            0 => Finding::Absent,
            1 => Finding::One,
            _ => Finding::Several,
        }
    }

    fn settle_finding(
        &self,
        s: &mut State,
        worker: &Worker,
        what: Finding,
        asked_at: i8,
        told_at: i8,
    ) {
        let mut worker = *worker;
        let own = worker.own.expect("a question is about an attempt");
        let review = PublicationState::NeedsReview;
        match what {
            Finding::One => {
                let to = PublicationState::Published;
                if worker.holds && self.step(s, &mut worker, Cause::Confirmed, to, Some(own)) {
                    finish(s, &worker);
                }
            }
            Finding::Several | Finding::CannotTell => {
                if self.step(s, &mut worker, Cause::CannotTell, review, Some(own)) {
                    finish(s, &worker);
                }
            }
            Finding::Absent => {
                let since = s.absent_since.map(at);
                let gap = self.gap().into();
                match relation::absence(since, &own.into(), at(asked_at), gap) {
                    Absence::Proved => self.absent_again(s, &mut worker, own),
                    _ if self.has(Bug::OneLookIsEnough) => {
                        self.absent_again(s, &mut worker, own);
                    }
                    weighed => {
                        let first = match weighed {
                            Absence::TooSoon(first) => ticks(first),
                            _ if self.has(Bug::AbsenceCountsFromTheQuestion) => asked_at,
                            _ => told_at,
                        };
                        let to = PublicationState::Reconciling;
                        if self.step(s, &mut worker, Cause::NotListed, to, Some(own)) {
                            s.absent_since = Some(first);
                            put_off(s, &worker, first + self.gap());
                        }
                    }
                }
            }
        }
    }

    fn absent_again(&self, s: &mut State, worker: &mut Worker, own: Try) {
        let to = self.next_try(s);
        if self.step(s, worker, Cause::NotListedAgain, to, Some(own)) {
            s.absent_since = None;
            self.after_refusal(s, worker, to);
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

    /// A worker's step; its transaction begins with the fence.
    fn step(
        &self,
        s: &mut State,
        worker: &mut Worker,
        cause: Cause,
        to: PublicationState,
        own: Option<Try>,
    ) -> bool {
        let read = (worker.state, worker.epoch);
        let is_taken = self.change(s, By::Worker(worker.holds), read, cause, to, own);
        if is_taken {
            worker.state = s.publication;
            worker.epoch = s.epoch;
        } else {
            put_off(s, worker, 1);
        }
        is_taken
    }

    fn change(
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

fn set_place(s: &mut State, index: usize, place: Place) {
    if let Some(worker) = &mut s.workers[index] {
        worker.place = place;
    }
}

fn waits_for(s: &State, n: i8) -> Option<usize> {
    s.workers.iter().position(|worker| {
        worker.is_some_and(|worker| {
            worker.place == Place::Calling && worker.own.is_some_and(|own| own.n == n)
        })
    })
}

fn put_off(s: &mut State, worker: &Worker, run_after: i8) {
    if let Some(job) = s.job.as_mut().filter(|_| worker.holds) {
        job.run_after = if job.is_woken { 0 } else { run_after.max(0) };
        job.is_held = false;
        job.is_woken = false;
    }
}

fn finish(s: &mut State, worker: &Worker) {
    match s.job.as_mut().filter(|_| worker.holds) {
        Some(job) if job.is_woken => {
            job.is_held = false;
            job.is_woken = false;
        }
        Some(_) => s.job = None,
        None => {}
    }
}

/// Whether a tick changes anything. A worker that is not robbed of its lease goes on before that ends.
fn waits_for_time(s: &State) -> bool {
    let is_in_time = s.workers.iter().flatten().any(|worker| worker.holds);
    if is_in_time && s.job.is_some_and(|job| job.lease_until <= 0) {
        return false;
    }
    let is_job_waiting = s.job.is_some_and(|job| {
        (!job.is_held && job.run_after > 0) || (job.is_held && job.lease_until >= 0)
    });
    let is_calling = s
        .workers
        .iter()
        .flatten()
        .any(|worker| worker.own.is_some_and(|own| own.deadline > 0));
    is_job_waiting || is_calling || !s.calls.is_empty()
}

fn tick(s: &mut State) {
    let pass = |moment: &mut i8| *moment = (*moment - 1).max(PAST);
    let pass_try = |it: &mut Try| {
        pass(&mut it.intent_at);
        pass(&mut it.deadline);
    };
    if let Some(job) = &mut s.job {
        pass(&mut job.lease_until);
        job.run_after = (job.run_after - 1).max(0);
        // Only whether it is over matters.
        job.lease_until = job.lease_until.max(-1);
    }
    s.calls.iter_mut().for_each(|call| call.until -= 1);
    s.calls.retain(|call| call.until >= 0);
    s.public
        .iter_mut()
        .for_each(|since| *since = (*since - 1).max(-LISTING_LAG));
    s.is_list_old = false;
    // What lies far back still lies before or after the intent.
    let intent_at = s.open.map_or(0, |open| open.intent_at);
    s.absent_since = s.absent_since.map(|since| {
        let floor = if since < intent_at { PAST - 1 } else { PAST };
        (since - 1).max(floor)
    });
    s.open.iter_mut().for_each(pass_try);
    for worker in s.workers.iter_mut().flatten() {
        worker.own.iter_mut().for_each(pass_try);
        match &mut worker.place {
            Place::Asking { asked_at } => pass(asked_at),
            Place::Found {
                asked_at, told_at, ..
            } => {
                pass(asked_at);
                pass(told_at);
            }
            _ => {}
        }
    }
}
