//! A worker's way from its claim to the end of its work, commit by commit.
//!
//! Owns what a worker does between two commits or calls. Invariant: it changes
//! the publication through `step` alone, which asks the relation under its claim.

use so_engine::publish::relation::{self, Absence, By, Cause, Work};
use so_model::publication::PublicationState;

use crate::{
    bugs::Bug,
    protocol::Protocol,
    state::{
        Answer, CALL, Call, Class, Finding, LATE, LEASE, LISTING_LAG, Place, State, TRIES_MAX, Try,
        Worker, at, finish, put_off, ticks,
    },
};

impl Protocol {
    /// A worker goes on to its next commit or call.
    pub fn go(&self, s: &mut State, index: usize) {
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
}
