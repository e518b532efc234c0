//! The publish protocol as one relation: which cause may lead from which state
//! to which, on what grounds, and what becomes of the attempt.
//!
//! Owns the table and the pure decisions around it. Reads no clock, no database
//! and no network. Invariant: production takes every step through [`allow`], the
//! model check in `engine/tests/model` explores the same table, and [`check_log`]
//! holds a publication's history against it, so that the three cannot differ.

mod log;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

use so_model::{
    Timestamp,
    publication::{Attempt, AttemptPhase, PublicationState as State},
    time::SECOND,
};

pub use log::{Violation, check_log};

/// Time between the end of a call's deadline and the end of its lease, unless the lease is very short.
const LEASE_MARGIN: i64 = 10 * SECOND;

/// Why a publication changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// A worker begins to prepare it.
    Claimed,
    /// Its account cannot be used now.
    AccountAway,
    /// The part before it will never be live, or the account was removed.
    Orphaned,
    /// What it answers to is live without a known id.
    Detached,
    /// Preparing it was refused.
    NotPrepared,
    /// Everything is prepared: the call is about to be made.
    Intended,
    /// It may have been sent in a history that the database lost: that is written down as a call in doubt.
    Presumed,
    /// The network said yes, at once, late, or when it was asked.
    Confirmed,
    /// The network refused, or provably took nothing.
    Refused,
    /// The call ended without an answer, or nobody knows how it ended.
    Silent,
    /// The network named a post that belongs to another publication.
    NamedAnother,
    /// The settle window is over: the network is asked.
    Asked,
    /// The network does not have it.
    NotListed,
    /// The network still does not have it.
    NotListedAgain,
    /// Several posts match, or the network cannot be asked, or not in time.
    CannotTell,
    /// The network cannot be asked about a call that was presumed by mere caution.
    NothingLost,
    /// It is in doubt, but there is no attempt to ask about.
    AttemptGone,
    /// It is in doubt, but its account does not exist any more.
    NobodyToAsk,
    /// A person saw it live.
    PersonSawIt,
    /// A person says that it is not live.
    PersonAgain,
    /// A person drops it.
    PersonDrops,
    /// The part before it is tried again.
    HeadAgain,
}

/// What a rule does to the epoch of the publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Epoch {
    /// Stays.
    Same,
    /// Grows by one: whoever read the former one changes nothing any more.
    Next,
}

/// What a rule finds open and what becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent {
    /// None is open, before and after.
    None,
    /// None was open; one is now.
    Opens,
    /// The open one stays open.
    Stays,
    /// The open one is closed as this.
    Closes(AttemptPhase),
    /// If one is open it is closed as this.
    ClosesAny(AttemptPhase),
}

/// What must be true before a rule may be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// P1: the worker's claim of the job holds.
    Fenced,
    /// The publication is as the step read it: state and epoch.
    AsRead,
    /// P2: no attempt is open.
    NoneOpen,
    /// The open attempt is the one that the step speaks of.
    OwnOpen,
    /// P1: the intent belongs to this claim, and its call ends before the lease does.
    IntentFits,
    /// The settle window of the open attempt is over.
    Settled,
    /// Absence was seen before, since the intent, and long enough ago.
    SeenTwice,
    /// P9: a person decides.
    ByPerson,
}

/// One row of the relation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Why.
    pub cause: Cause,
    /// From which states.
    pub from: &'static [State],
    /// To which states; the step says to which of them.
    pub to: &'static [State],
    /// What happens to the epoch.
    pub epoch: Epoch,
    /// What happens to the attempt.
    pub intent: Intent,
    /// On what grounds.
    pub guards: Vec<Guard>,
}

/// The attempt that is open, or about to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Open {
    /// Its number.
    pub n: i64,
    /// The claim under which it was made.
    pub epoch: i64,
    /// When the intent was committed.
    pub intent_at: Timestamp,
    /// When the call is given up.
    pub deadline_at: Timestamp,
}

impl From<&Attempt> for Open {
    fn from(attempt: &Attempt) -> Self {
        Self {
            n: attempt.n,
            epoch: attempt.epoch,
            intent_at: attempt.intent_at,
            deadline_at: attempt.deadline_at,
        }
    }
}

/// Who takes a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// A worker; whether its claim of the job holds in this transaction.
    Worker(bool),
    /// The replay of an outcome that was kept aside.
    Spill,
    /// A person.
    Person,
    /// Another part of the same post.
    Neighbour,
}

/// A step that somebody wants to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Why.
    pub cause: Cause,
    /// The state it was read in.
    pub from: State,
    /// The state it shall have.
    pub to: State,
    /// The epoch it was read with.
    pub epoch: i64,
    /// Who.
    pub by: By,
    /// The attempt that the step speaks of or opens.
    pub attempt: Option<Open>,
}

/// What is so when the step is taken.
///
/// In production the transaction itself holds the step to `state` and `epoch` (the update names both), and to
/// `open` (an index refuses a second open attempt; closing names one that is open).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ground {
    /// State of the publication.
    pub state: State,
    /// Its epoch.
    pub epoch: i64,
    /// Its open attempt.
    pub open: Option<Open>,
    /// The moment.
    pub now: Timestamp,
    /// Until when the worker holds the job.
    pub lease_until: Timestamp,
    /// Lengths of the protocol's spans.
    pub spans: Spans,
    /// When absence was seen first.
    pub absent_since: Option<Timestamp>,
}

/// Lengths that the protocol rests on, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spans {
    /// Between the end of a call and the end of its lease.
    pub lease_margin: i64,
    /// Within which the network lists what it accepted, from the deadline of the call.
    pub settle: i64,
    /// Between two looks that must both find nothing.
    pub absent_gap: i64,
}

/// What a step that is allowed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// The epoch afterwards.
    pub epoch: i64,
    /// What becomes of the attempt.
    pub intent: Intent,
}

/// Why a step is not allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The table has no such row.
    #[error("{cause:?} does not lead from {} to {}", .from.as_str(), .to.as_str())]
    NoSuchWay {
        /// The cause.
        cause: Cause,
        /// State before.
        from: State,
        /// State after.
        to: State,
    },
    /// A guard does not hold.
    #[error("{cause:?} needs {guard:?}")]
    NoGround {
        /// The cause.
        cause: Cause,
        /// What does not hold.
        guard: Guard,
    },
}

const WAITING: &[State] = &[State::Due, State::RetryWait, State::Held, State::Preparing];
const NOT_TAKEN: &[State] = &[State::RetryWait, State::Failed, State::Held];
const LEFT_TO_PEOPLE: &[State] = &[State::NeedsReview, State::Failed];

/// The relation.
pub fn rules() -> &'static [Rule] {
    static RULES: LazyLock<Vec<Rule>> = LazyLock::new(table);
    &RULES
}

fn table() -> Vec<Rule> {
    use Guard::{AsRead, ByPerson, Fenced, IntentFits, NoneOpen, OwnOpen, SeenTwice, Settled};
    use State::{
        Cancelled, Due, Failed, Held, NeedsReview, Preparing, Published, Reconciling, RetryWait,
        Sending, Unknown,
    };
    let row = |cause, from, to, epoch, intent, guards: &[Guard]| Rule {
        cause,
        from,
        to,
        epoch,
        intent,
        guards: guards.to_vec(),
    };
    let free = [Fenced, AsRead, NoneOpen];
    let in_doubt = [Fenced, AsRead, OwnOpen];
    let asked = [Fenced, AsRead, OwnOpen, Settled];
    let closes = |phase| Intent::Closes(phase);
    let decided = Intent::ClosesAny(AttemptPhase::Decided);
    let person = [AsRead, ByPerson];
    vec![
        row(
            Cause::Claimed,
            WAITING,
            &[Preparing],
            Epoch::Next,
            Intent::None,
            &free,
        ),
        row(
            Cause::AccountAway,
            WAITING,
            &[Held],
            Epoch::Same,
            Intent::None,
            &free,
        ),
        row(
            Cause::Orphaned,
            WAITING,
            &[Cancelled],
            Epoch::Same,
            Intent::None,
            &free,
        ),
        row(
            Cause::Detached,
            WAITING,
            &[NeedsReview],
            Epoch::Same,
            Intent::None,
            &free,
        ),
        row(
            Cause::NotPrepared,
            &[Preparing],
            NOT_TAKEN,
            Epoch::Same,
            Intent::None,
            &free,
        ),
        row(
            Cause::Intended,
            &[Preparing],
            &[Sending],
            Epoch::Same,
            Intent::Opens,
            &[Fenced, AsRead, NoneOpen, IntentFits],
        ),
        // Its epoch grows as by a claim, which it is.
        row(
            Cause::Presumed,
            WAITING,
            &[Unknown],
            Epoch::Next,
            Intent::Opens,
            &free,
        ),
        row(
            Cause::NothingLost,
            &[Reconciling],
            &[RetryWait],
            Epoch::Same,
            closes(AttemptPhase::Absent),
            &asked,
        ),
        // P3: a yes counts whoever brings it, and however late.
        row(
            Cause::Confirmed,
            &[Sending, Unknown, Reconciling, NeedsReview],
            &[Published],
            Epoch::Same,
            closes(AttemptPhase::Confirmed),
            &[AsRead, OwnOpen],
        ),
        row(
            Cause::Refused,
            &[Sending],
            NOT_TAKEN,
            Epoch::Same,
            closes(AttemptPhase::Rejected),
            &in_doubt,
        ),
        row(
            Cause::Silent,
            &[Sending],
            &[Unknown],
            Epoch::Same,
            Intent::Stays,
            &in_doubt,
        ),
        row(
            Cause::NamedAnother,
            &[Sending, Reconciling],
            &[NeedsReview],
            Epoch::Same,
            Intent::Stays,
            &in_doubt,
        ),
        row(
            Cause::Asked,
            &[Unknown],
            &[Reconciling],
            Epoch::Next,
            Intent::Stays,
            &asked,
        ),
        row(
            Cause::NotListed,
            &[Reconciling],
            &[Reconciling],
            Epoch::Same,
            Intent::Stays,
            &asked,
        ),
        row(
            Cause::NotListedAgain,
            &[Reconciling],
            &[RetryWait, Failed],
            Epoch::Same,
            closes(AttemptPhase::Absent),
            &[Fenced, AsRead, OwnOpen, Settled, SeenTwice],
        ),
        row(
            Cause::CannotTell,
            &[Reconciling],
            &[NeedsReview],
            Epoch::Same,
            Intent::Stays,
            &asked,
        ),
        row(
            Cause::AttemptGone,
            &[Sending, Unknown, Reconciling],
            &[NeedsReview],
            Epoch::Same,
            Intent::None,
            &free,
        ),
        row(
            Cause::NobodyToAsk,
            &[Sending, Unknown, Reconciling],
            &[NeedsReview],
            Epoch::Same,
            Intent::Stays,
            &in_doubt,
        ),
        row(
            Cause::PersonSawIt,
            LEFT_TO_PEOPLE,
            &[Published],
            Epoch::Next,
            decided,
            &person,
        ),
        row(
            Cause::PersonAgain,
            LEFT_TO_PEOPLE,
            &[Due],
            Epoch::Next,
            decided,
            &person,
        ),
        row(
            Cause::PersonDrops,
            LEFT_TO_PEOPLE,
            &[Cancelled],
            Epoch::Next,
            decided,
            &person,
        ),
        row(
            Cause::HeadAgain,
            &[Cancelled],
            &[Due],
            Epoch::Same,
            Intent::None,
            &[AsRead, NoneOpen],
        ),
    ]
}

/// Whether a step may be taken, and what it does.
pub fn allow(rules: &[Rule], step: &Step, ground: &Ground) -> Result<Change, Refusal> {
    let (cause, from, to) = (step.cause, step.from, step.to);
    let rule = rules
        .iter()
        .find(|rule| rule.cause == cause && rule.from.contains(&from) && rule.to.contains(&to))
        .ok_or(Refusal::NoSuchWay { cause, from, to })?;
    match rule
        .guards
        .iter()
        .find(|guard| !holds(**guard, step, ground))
    {
        Some(guard) => Err(Refusal::NoGround {
            cause,
            guard: *guard,
        }),
        None => Ok(Change {
            epoch: step.epoch + i64::from(rule.epoch == Epoch::Next),
            intent: rule.intent,
        }),
    }
}

fn holds(guard: Guard, step: &Step, ground: &Ground) -> bool {
    match guard {
        Guard::Fenced => step.by == By::Worker(true),
        Guard::AsRead => step.from == ground.state && step.epoch == ground.epoch,
        Guard::NoneOpen => ground.open.is_none(),
        Guard::OwnOpen => ground.open.is_some() && ground.open == step.attempt,
        Guard::IntentFits => step.attempt.is_some_and(|intent| {
            intent.epoch == step.epoch
                && intent.intent_at == ground.now
                && ground.now < intent.deadline_at
                && intent.deadline_at.plus(ground.spans.lease_margin) <= ground.lease_until
        }),
        Guard::Settled => ground
            .open
            .is_some_and(|open| ground.now >= settled_at(&open, ground.spans.settle)),
        Guard::SeenTwice => ground.open.is_some_and(|open| {
            let gap = ground.spans.absent_gap;
            absence(ground.absent_since, &open, ground.now, gap) == Absence::Proved
        }),
        Guard::ByPerson => step.by == By::Person,
    }
}

/// What a worker does with a publication that it claimed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Work {
    /// Prepares and sends it.
    Send,
    /// It was in the hands of a worker that was lost during the call: nobody knows.
    MarkUnknown,
    /// Asks the network.
    Reconcile,
    /// Nothing: it is settled.
    Nothing,
}

/// What a publication needs that is claimed in a state.
pub fn work_for(state: State) -> Work {
    match state {
        State::Due | State::RetryWait | State::Preparing | State::Held => Work::Send,
        State::Sending => Work::MarkUnknown,
        State::Unknown | State::Reconciling => Work::Reconcile,
        State::Published | State::Failed | State::NeedsReview | State::Cancelled => Work::Nothing,
    }
}

/// Whether its call may have been made and its outcome is not known.
pub fn is_in_doubt(state: State) -> bool {
    matches!(work_for(state), Work::MarkUnknown | Work::Reconcile)
}

/// P3: whether an outcome that comes late may still be told.
pub fn awaits_outcome(state: State) -> bool {
    is_in_doubt(state) || state == State::NeedsReview
}

/// Time between the end of a call and the end of a lease of this length.
pub fn lease_margin(lease: i64) -> i64 {
    LEASE_MARGIN.min(lease / 3)
}

/// When a call that is intended now is given up: well before its lease ends.
pub fn deadline(now: Timestamp, call_timeout: i64, lease: i64) -> Timestamp {
    let longest = lease.saturating_sub(lease_margin(lease));
    now.plus(call_timeout.min(longest).max(1))
}

/// Whether an intended call may still begin; others hold it for over after its deadline.
pub fn may_call(intent: &Open, now: Timestamp) -> bool {
    now < intent.deadline_at
}

/// When the network has listed what it accepted of an attempt.
pub fn settled_at(open: &Open, settle: i64) -> Timestamp {
    open.deadline_at.plus(settle)
}

/// What it means that the network does not have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absence {
    /// Seen for the first time since the intent.
    First,
    /// Seen again, but too soon after the first time.
    TooSoon(Timestamp),
    /// Seen twice, some time apart.
    Proved,
}

/// Weighs an absence that is seen `now` against an earlier one.
pub fn absence(since: Option<Timestamp>, open: &Open, now: Timestamp, gap: i64) -> Absence {
    match since.filter(|since| *since >= open.intent_at) {
        None => Absence::First,
        Some(since) if now.since(since) >= gap => Absence::Proved,
        Some(since) => Absence::TooSoon(since),
    }
}
