//! What the model knows at one moment, and what passes with time.
//!
//! Owns the state and its parts: row, attempt, job, workers, wire, public
//! effects. Invariant: moments are ticks counted from now, and what lies too far
//! back to be compared is kept no more exactly, so there are finitely many states.

use so_engine::publish::relation::Open;
use so_model::{Timestamp, publication::PublicationState};

/// A call may last one tick.
pub const CALL: i8 = 1;
/// A lease: the call, its margin, and time to begin.
pub const LEASE: i8 = 3;
/// The network may accept this long after the deadline…
pub const LATE: i8 = 1;
/// …and lists what it accepted after this.
pub const LISTING_LAG: i8 = 1;
/// So this is how long it must be waited.
pub const SETTLE: i8 = LATE + LISTING_LAG;
/// A look that is out of date is so for less than this.
pub const ABSENT_GAP: i8 = 1;
/// Tries before the publication fails.
pub const TRIES_MAX: i8 = 2;
/// Farther back nothing is compared any more.
pub const PAST: i8 = -4;

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
    pub n: i8,
    pub epoch: i8,
    pub intent_at: i8,
    pub deadline: i8,
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
    pub holds: bool,
    pub place: Place,
    /// The publication as it read or wrote it last.
    pub state: PublicationState,
    pub epoch: i8,
    pub own: Option<Try>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Call {
    pub n: i8,
    pub until: i8,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    pub publication: PublicationState,
    pub epoch: i8,
    pub tries: i8,
    pub absent_since: Option<i8>,
    pub open: Option<Try>,
    pub job: Option<Job>,
    pub workers: [Option<Worker>; 2],
    pub calls: Vec<Call>,
    /// When each public effect came about.
    pub public: Vec<i8>,
    pub is_list_old: bool,
    pub spilled: Option<i8>,
    pub left: Budget,
    /// Facts for the properties.
    pub was_published: bool,
    pub knew: bool,
    pub repeated_blindly: bool,
    pub was_refused: bool,
    pub was_decided: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Job {
    pub is_held: bool,
    pub is_woken: bool,
    pub lease_until: i8,
    pub run_after: i8,
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

pub fn at(tick: i8) -> Timestamp {
    Timestamp::from_micros(tick.into())
}

pub fn ticks(moment: Timestamp) -> i8 {
    i8::try_from(moment.micros()).expect("the model's moments are small")
}

pub fn set_place(s: &mut State, index: usize, place: Place) {
    if let Some(worker) = &mut s.workers[index] {
        worker.place = place;
    }
}

pub fn waits_for(s: &State, n: i8) -> Option<usize> {
    s.workers.iter().position(|worker| {
        worker.is_some_and(|worker| {
            worker.place == Place::Calling && worker.own.is_some_and(|own| own.n == n)
        })
    })
}

pub fn put_off(s: &mut State, worker: &Worker, run_after: i8) {
    if let Some(job) = s.job.as_mut().filter(|_| worker.holds) {
        job.run_after = if job.is_woken { 0 } else { run_after.max(0) };
        job.is_held = false;
        job.is_woken = false;
    }
}

pub fn finish(s: &mut State, worker: &Worker) {
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
pub fn waits_for_time(s: &State) -> bool {
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

pub fn tick(s: &mut State) {
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
