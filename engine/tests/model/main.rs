//! The model check of the publish protocol.
//!
//! Explores every order of events of two workers, one publication and a network
//! under a budget of mishaps, with the relation that production uses. Each
//! class of networks is explored to the end; each seeded bug must be found.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod bugs;
mod protocol;
mod state;
mod worker;

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, RandomState},
};

use so_model::publication::PublicationState;
use stateright::{Checker, HasDiscoveries, Model, Property};

use bugs::Bug;
use protocol::Protocol;
use state::{Action, Budget, Class, State};

const CAN_PUBLISH: &str = "it can be published";
const CAN_REVIEW: &str = "it can come to review";
const CAN_FAIL: &str = "it can fail";
const TWICE: &str = "never two public effects";
const LOST: &str = "every end is published, failed or a person's turn";
const FALSE: &str = "published means public, failed means not public";
const FINAL: &str = "published is final";
const BLIND: &str = "a blind network is never asked twice by a machine";
const KNOWN: &str = "a yes that was read is not left in doubt";

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.start()]
    }
    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.possible(state, actions);
    }
    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        Some(self.after(last, action))
    }
    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(TWICE, |_, s: &State| s.public.len() < 2),
            Property::always(LOST, |model: &Self, s: &State| {
                s.publication.is_settled() || !is_end(model, s)
            }),
            Property::always(FALSE, |_, s: &State| match s.publication {
                PublicationState::Published => !s.public.is_empty(),
                PublicationState::Failed => s.public.is_empty(),
                _ => true,
            }),
            Property::always(FINAL, |_, s: &State| {
                !s.was_published || s.publication == PublicationState::Published
            }),
            Property::always(BLIND, |_, s: &State| !s.repeated_blindly),
            Property::always(KNOWN, |model: &Self, s: &State| {
                !s.knew || s.publication == PublicationState::Published || !is_end(model, s)
            }),
            Property::sometimes(CAN_PUBLISH, |_, s: &State| {
                s.publication == PublicationState::Published
            }),
            Property::sometimes(CAN_REVIEW, |_, s: &State| {
                s.publication == PublicationState::NeedsReview
            }),
            Property::sometimes(CAN_FAIL, |_, s: &State| {
                s.publication == PublicationState::Failed
            }),
        ]
    }
}

fn is_end(model: &Protocol, state: &State) -> bool {
    let mut actions = Vec::new();
    model.possible(state, &mut actions);
    actions.is_empty()
}

/// Workers die and lose their leases; calls may be taken late in any of these.
const DEATHS: Budget = Budget {
    crashes: 2,
    thefts: 1,
    cuts: 0,
    refusals: 0,
    old_lists: 0,
    database_away: 0,
    people: 0,
};
/// The network is cut off, shows an old list, refuses; the database is away; a person decides.
const MISHAPS: Budget = Budget {
    crashes: 1,
    thefts: 1,
    cuts: 1,
    refusals: 1,
    old_lists: 1,
    database_away: 1,
    people: 1,
};

/// Every way comes to an end: there is no circle of states. Answers how many states there are.
fn count_without_circles(model: &Protocol) -> usize {
    let hasher = RandomState::new();
    // False while it is on the way that is being walked.
    let mut is_done: HashMap<u64, bool> = HashMap::new();
    let start = model.start();
    is_done.insert(hasher.hash_one(&start), false);
    let mut way = vec![(hasher.hash_one(&start), model.next_states(&start))];
    while let Some((key, next)) = way.last_mut() {
        let Some(state) = next.pop() else {
            is_done.insert(*key, true);
            way.pop();
            continue;
        };
        let key = hasher.hash_one(&state);
        match is_done.get(&key) {
            Some(true) => {}
            Some(false) => panic!("the protocol runs in circles: {state:?}"),
            None => {
                is_done.insert(key, false);
                way.push((key, model.next_states(&state)));
            }
        }
    }
    is_done.len()
}

fn explore(class: Class) {
    let mut can_fail = false;
    let mut can_come_to_review = false;
    for budget in [DEATHS, MISHAPS] {
        let protocol = || Protocol::new(class, budget, None);
        let checker = protocol().checker().spawn_bfs().join();
        println!("{class:?}: {} states", checker.unique_state_count());
        for name in [TWICE, LOST, FALSE, FINAL, BLIND, KNOWN] {
            if let Some(path) = checker.discovery(name) {
                panic!("{class:?}: not so: {name}\n{}", told(path.into_actions()));
            }
        }
        assert!(checker.discovery(CAN_PUBLISH).is_some());
        can_fail |= checker.discovery(CAN_FAIL).is_some();
        can_come_to_review |= checker.discovery(CAN_REVIEW).is_some();
        let walked = count_without_circles(&protocol());
        assert_eq!(walked, checker.unique_state_count());
    }
    assert!(can_fail);
    assert_eq!(can_come_to_review, class == Class::Blind);
}

fn told(actions: Vec<Action>) -> String {
    actions
        .iter()
        .map(|action| format!("  {action:?}\n"))
        .collect()
}

fn expect_found(class: Class, budget: Budget, bug: Bug, property: &'static str) {
    let checker = Protocol::new(class, budget, Some(bug))
        .checker()
        .finish_when(HasDiscoveries::AnyOf([property].into()))
        .spawn_bfs()
        .join();
    let path = checker.assert_any_discovery(property).into_actions();
    println!("{bug:?} ({class:?}): {property}\n{}", told(path));
}

#[test]
fn a_network_with_keys_gets_it_once() {
    explore(Class::Key);
}

#[test]
fn a_network_that_can_be_listed_gets_it_once() {
    explore(Class::Listing);
}

#[test]
fn a_blind_network_gets_it_once_or_a_person_is_asked() {
    explore(Class::Blind);
}

#[test]
fn a_call_before_its_intent_is_found() {
    expect_found(Class::Listing, DEATHS, Bug::CallBeforeIntent, TWICE);
}

#[test]
fn a_new_attempt_after_an_unknown_outcome_is_found() {
    expect_found(Class::Listing, DEATHS, Bug::NewAttemptAfterUnknown, TWICE);
    expect_found(Class::Blind, DEATHS, Bug::NewAttemptAfterUnknown, BLIND);
}

#[test]
fn a_settle_window_of_nothing_is_found() {
    expect_found(Class::Listing, DEATHS, Bug::NoSettleWindow, TWICE);
}

#[test]
fn absence_after_one_look_is_found() {
    expect_found(Class::Listing, MISHAPS, Bug::OneLookIsEnough, TWICE);
}

#[test]
fn two_looks_at_one_moment_are_found() {
    expect_found(Class::Listing, MISHAPS, Bug::NoGapBetweenLooks, TWICE);
}

#[test]
fn a_look_that_counts_from_its_question_is_found() {
    expect_found(
        Class::Listing,
        MISHAPS,
        Bug::AbsenceCountsFromTheQuestion,
        TWICE,
    );
}

#[test]
fn a_result_that_ignores_the_claim_is_found() {
    expect_found(Class::Listing, MISHAPS, Bug::ResultIgnoresTheClaim, FINAL);
}

#[test]
fn a_call_after_its_deadline_is_found() {
    expect_found(Class::Listing, DEATHS, Bug::CallAfterDeadline, TWICE);
}

#[test]
fn a_late_yes_that_is_dropped_is_found() {
    expect_found(Class::Blind, DEATHS, Bug::LateYesIsDropped, KNOWN);
}

#[test]
fn a_yes_that_is_not_spilled_is_found() {
    expect_found(Class::Blind, MISHAPS, Bug::NoSpill, KNOWN);
}

#[test]
fn a_doubt_that_is_forgotten_is_found() {
    expect_found(Class::Listing, DEATHS, Bug::ForgetsDoubt, LOST);
}

#[test]
fn a_blind_network_taken_for_an_empty_one_is_found() {
    expect_found(Class::Blind, DEATHS, Bug::BlindIsTakenForAbsent, TWICE);
}
