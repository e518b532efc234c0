//! Holds the history of a publication against the relation.
//!
//! Invariant: a history is accepted only if the relation could have written it,
//! line for line and attempt for attempt, and it ends where the row stands.

use so_model::publication::{Attempt, AttemptPhase, Publication, PublicationState as State};
use so_store::publications::Transition;

use super::{Cause, Epoch, Intent, Rule, rules};

/// What in a history the relation could not have written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// A line is missing, doubled or out of order.
    #[error("line {seq} stands where line {expected} belongs")]
    Sequence {
        /// Its number.
        seq: i64,
        /// The number that belongs there.
        expected: i64,
    },
    /// A line begins where the one before it did not end.
    #[error("line {seq} begins at {}, but the publication was {}", .from.as_str(), .was.as_str())]
    Chain {
        /// The line.
        seq: i64,
        /// Where it begins.
        from: State,
        /// Where the publication was.
        was: State,
    },
    /// The epoch shrank, stood still or jumped.
    #[error("line {seq} has epoch {epoch}, and {expected} belongs there")]
    Epoch {
        /// The line.
        seq: i64,
        /// Its epoch.
        epoch: i64,
        /// The epoch that belongs there.
        expected: i64,
    },
    /// No rule leads this way on what the attempts say.
    #[error("line {seq} goes from {} to {}: {why}", .from.as_str(), .to.as_str())]
    Way {
        /// The line.
        seq: i64,
        /// State before.
        from: State,
        /// State after.
        to: State,
        /// What speaks against it.
        why: &'static str,
    },
    /// The row is not where its history ends.
    #[error("the row is {} with epoch {epoch}, but its history ends otherwise", .state.as_str())]
    Row {
        /// State of the row.
        state: State,
        /// Epoch of the row.
        epoch: i64,
    },
    /// An attempt that no line speaks of, or that is out of order.
    #[error("attempt {n} has no place in the history")]
    Attempt {
        /// Its number.
        n: i64,
    },
}

/// What is known after some lines.
#[derive(Clone, Copy)]
struct Place<'a> {
    state: State,
    epoch: i64,
    open: Option<&'a Attempt>,
    /// Attempts that lines spoke of.
    begun: usize,
    /// Whether absence of the open attempt was seen.
    absent: bool,
}

/// Checks the whole history of a publication: its row, its log and its attempts, read at one moment.
///
/// The moments in it are not held against each other: a clock may be set back.
pub fn check_log(
    row: &Publication,
    log: &[Transition],
    attempts: &[Attempt],
) -> Result<(), Violation> {
    let numbers = || attempts.iter().map(|attempt| attempt.n);
    if let Some((_, n)) = numbers().zip(numbers().skip(1)).find(|(a, b)| a >= b) {
        return Err(Violation::Attempt { n });
    }
    let mut place = Place {
        state: State::Due,
        epoch: 0,
        open: None,
        begun: 0,
        absent: false,
    };
    for (index, line) in log.iter().enumerate() {
        // A line's own rule is known by the epoch that follows it.
        let next = log.get(index + 1).map_or(row.epoch, |next| next.epoch);
        place = follow(place, index, line, next, attempts)?;
    }
    if (place.state, place.epoch) != (row.state, row.epoch) {
        return Err(Violation::Row {
            state: row.state,
            epoch: row.epoch,
        });
    }
    // What is open at the end is open in its row; what no line speaks of was never made.
    let wrong = place
        .open
        .filter(|open| open.phase != AttemptPhase::Open)
        .or(attempts.get(place.begun));
    match wrong {
        Some(attempt) => Err(Violation::Attempt { n: attempt.n }),
        None => Ok(()),
    }
}

fn follow<'a>(
    place: Place<'a>,
    index: usize,
    line: &Transition,
    next_epoch: i64,
    attempts: &'a [Attempt],
) -> Result<Place<'a>, Violation> {
    let (seq, from, to) = (line.seq, line.from, line.to);
    // A history has far fewer lines than an i64 can count.
    let expected = i64::try_from(index).unwrap_or(i64::MAX).saturating_add(1);
    if seq != expected {
        return Err(Violation::Sequence { seq, expected });
    }
    if from != place.state {
        let was = place.state;
        return Err(Violation::Chain { seq, from, was });
    }
    if line.epoch != place.epoch {
        return Err(Violation::Epoch {
            seq,
            epoch: line.epoch,
            expected: place.epoch,
        });
    }
    let mut why = "no rule leads this way";
    let ways = rules()
        .iter()
        .filter(|rule| rule.from.contains(&from) && rule.to.contains(&to));
    for rule in ways {
        let epoch = place.epoch + i64::from(rule.epoch == Epoch::Next);
        if epoch != next_epoch {
            why = "the epoch after it belongs to no rule that leads this way";
            continue;
        }
        match weigh(place, rule, line, attempts) {
            Ok(next) => {
                return Ok(Place {
                    state: to,
                    epoch,
                    ..next
                });
            }
            Err(reason) => why = reason,
        }
    }
    Err(Violation::Way { seq, from, to, why })
}

/// What the attempts say of a line, if it was written by this rule.
fn weigh<'a>(
    mut place: Place<'a>,
    rule: &Rule,
    line: &Transition,
    attempts: &'a [Attempt],
) -> Result<Place<'a>, &'static str> {
    match rule.cause {
        Cause::NotListed if !is_over(place.open, line) => return Err("it was asked too early"),
        Cause::NotListed => place.absent = true,
        Cause::NotListedAgain if !place.absent => return Err("absence was not seen before"),
        Cause::NotListedAgain if !is_over(place.open, line) => {
            return Err("it was asked too early");
        }
        _ => {}
    }
    let closed_as = |phase| match place.open {
        Some(open) if open.phase == phase => Ok(()),
        Some(_) => Err("its attempt was closed otherwise"),
        None => Err("no attempt is open"),
    };
    match rule.intent {
        Intent::None if place.open.is_some() => return Err("an attempt is open"),
        Intent::None => {}
        Intent::Stays if place.open.is_none() => return Err("no attempt is open"),
        Intent::Stays => {}
        Intent::Opens if place.open.is_some() => return Err("an attempt is open"),
        Intent::Opens => {
            let attempt = attempts.get(place.begun).ok_or("there is no attempt")?;
            let is_own = match rule.cause {
                // What was presumed was meant in another history, before its line.
                Cause::Presumed => attempt.epoch == line.epoch + 1,
                _ => attempt.epoch == line.epoch && attempt.intent_at == line.at,
            };
            if !is_own {
                return Err("its attempt belongs to another claim");
            }
            place.open = Some(attempt);
            place.begun += 1;
            place.absent = false;
        }
        Intent::Closes(phase) => {
            closed_as(phase)?;
            place.open = None;
        }
        Intent::ClosesAny(phase) => {
            if place.open.is_some() {
                closed_as(phase)?;
            }
            place.open = None;
        }
    }
    Ok(place)
}

// The settle window comes on top, but its length then is not known any more.
fn is_over(open: Option<&Attempt>, line: &Transition) -> bool {
    open.is_some_and(|open| line.at >= open.deadline_at)
}
