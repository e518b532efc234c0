//! Seeded bugs: protocols that are almost right. The checker must find each.

use so_engine::publish::relation::{Cause, Guard, Rule, rules};
use so_model::publication::PublicationState;

/// One thing done wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The call goes out before its intent is committed.
    CallBeforeIntent,
    /// What is in doubt is sent again.
    NewAttemptAfterUnknown,
    /// The network is asked as soon as the deadline has passed.
    NoSettleWindow,
    /// Absent once is absent.
    OneLookIsEnough,
    /// Two looks may come at the same moment.
    NoGapBetweenLooks,
    /// The first look counts from its question, not from its answer.
    AbsenceCountsFromTheQuestion,
    /// A result is written whoever holds the job and whatever the row says.
    ResultIgnoresTheClaim,
    /// A worker that was stopped for a while begins its call all the same.
    CallAfterDeadline,
    /// A yes under a lost lease is thrown away.
    LateYesIsDropped,
    /// A yes is thrown away when the database is away.
    NoSpill,
    /// The job ends when the outcome is unknown.
    ForgetsDoubt,
    /// A network that cannot be asked counts as one that has nothing.
    BlindIsTakenForAbsent,
}

/// The relation as such a protocol would have it.
pub fn rules_with(bug: Option<Bug>) -> Vec<Rule> {
    let mut all = rules().to_vec();
    let mut without = |causes: &[Cause], guards: &[Guard]| {
        for rule in all.iter_mut().filter(|rule| causes.contains(&rule.cause)) {
            rule.guards.retain(|guard| !guards.contains(guard));
        }
    };
    match bug {
        Some(Bug::NewAttemptAfterUnknown) => {
            without(&[Cause::Claimed, Cause::Intended], &[Guard::NoneOpen]);
            for rule in all.iter_mut().filter(|rule| rule.cause == Cause::Claimed) {
                rule.from = &PublicationState::ALL;
            }
        }
        Some(Bug::OneLookIsEnough) => without(&[Cause::NotListedAgain], &[Guard::SeenTwice]),
        Some(Bug::ResultIgnoresTheClaim) => without(
            &[Cause::Refused, Cause::Silent],
            &[Guard::Fenced, Guard::AsRead, Guard::OwnOpen],
        ),
        _ => {}
    }
    all
}
