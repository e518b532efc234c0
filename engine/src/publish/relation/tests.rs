use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::Value;
use so_model::{
    Timestamp,
    id::{AccountId, AttemptId, PostId, PublicationId, VariantId, WorkspaceId},
    publication::{Attempt, AttemptPhase, Fingerprint, Publication, PublicationState as State},
};
use so_store::publications::Transition;

use super::*;

const SEEDS: u64 = 300;
const STEPS: usize = 25;
const SPANS: Spans = Spans {
    lease_margin: 1,
    settle: 2,
    absent_gap: 1,
};

/// A history as the relation writes it.
#[derive(Clone)]
struct History {
    row: Publication,
    log: Vec<Transition>,
    attempts: Vec<Attempt>,
    now: i64,
    absent_since: Option<Timestamp>,
}

impl History {
    fn new() -> Self {
        let row = Publication {
            id: PublicationId::derived(&[]),
            workspace: WorkspaceId::derived(&[]),
            post: PostId::derived(&[]),
            variant: VariantId::derived(&[]),
            account: AccountId::derived(&[]),
            part: 0,
            state: State::Due,
            revision: 1,
            epoch: 0,
            attempts: 0,
            due_at: at(0),
            remote_id: None,
            remote_url: None,
            progress: Value::Null,
            problem: None,
            published_at: None,
        };
        Self {
            row,
            log: Vec::new(),
            attempts: Vec::new(),
            now: 10,
            absent_since: None,
        }
    }

    fn open(&self) -> Option<Open> {
        let last = self.attempts.last()?;
        (last.phase == AttemptPhase::Open).then(|| Open::from(last))
    }

    fn intent(&self) -> Attempt {
        let n = self.row.attempts + 1;
        Attempt {
            id: AttemptId::derived(&[&n.to_string()]),
            workspace: self.row.workspace,
            publication: self.row.id,
            n,
            epoch: self.row.epoch,
            key: String::new(),
            fingerprint: Fingerprint::default(),
            intent_at: at(self.now),
            deadline_at: at(self.now + 1),
            phase: AttemptPhase::Open,
            evidence: Value::Null,
        }
    }

    /// Takes a step if the relation allows it.
    fn take(&mut self, cause: Cause, to: State, by: By) -> Result<(), Refusal> {
        let mut intent = self.intent();
        let is_new = matches!(cause, Cause::Intended | Cause::Presumed);
        intent.epoch += i64::from(cause == Cause::Presumed);
        let step = Step {
            cause,
            from: self.row.state,
            to,
            epoch: self.row.epoch,
            by,
            attempt: match is_new {
                true => Some(Open::from(&intent)),
                false => self.open(),
            },
        };
        let change = allow(rules(), &step, &self.ground())?;
        self.log.push(Transition {
            seq: i64::try_from(self.log.len()).unwrap() + 1,
            from: self.row.state,
            to,
            epoch: self.row.epoch,
            at: at(self.now),
            note: String::new(),
        });
        self.row.state = to;
        self.row.epoch = change.epoch;
        if cause == Cause::NotListed {
            self.absent_since.get_or_insert(at(self.now));
        }
        match change.intent {
            Intent::Opens => {
                self.row.attempts += 1;
                self.attempts.push(intent);
                self.absent_since = None;
            }
            Intent::Closes(phase) | Intent::ClosesAny(phase) if self.open().is_some() => {
                self.attempts.last_mut().unwrap().phase = phase;
            }
            _ => {}
        }
        Ok(())
    }

    fn ground(&self) -> Ground {
        Ground {
            state: self.row.state,
            epoch: self.row.epoch,
            open: self.open(),
            now: at(self.now),
            lease_until: at(self.now + 2),
            spans: SPANS,
            absent_since: self.absent_since,
        }
    }

    fn check(&self) -> Result<(), Violation> {
        check_log(&self.row, &self.log, &self.attempts)
    }
}

fn at(micros: i64) -> Timestamp {
    Timestamp::from_micros(micros)
}

fn walk(seed: u64) -> History {
    let mut random = StdRng::seed_from_u64(seed);
    let mut history = History::new();
    for _ in 0..STEPS {
        let rule = &rules()[random.random_range(0..rules().len())];
        let to = rule.to[random.random_range(0..rule.to.len())];
        let by = match rule.guards.contains(&Guard::ByPerson) {
            true => By::Person,
            false => By::Worker(true),
        };
        let _ = history.take(rule.cause, to, by);
        history.now += random.random_range(0..3);
    }
    history
}

#[test]
fn what_the_relation_writes_is_accepted() {
    let mut seen = Vec::new();
    for seed in 0..SEEDS {
        let history = walk(seed);
        history.check().unwrap();
        seen.extend(history.log.iter().map(|line| (line.from, line.to)));
    }
    // The walks are worth something only if they get about.
    for state in State::ALL {
        assert!(
            seen.iter().any(|(_, to)| *to == state),
            "{}",
            state.as_str()
        );
    }
}

#[test]
fn a_history_with_one_thing_changed_is_refused() {
    for seed in 0..SEEDS {
        let history = walk(seed);
        for (what, changed) in changes(&history) {
            assert!(
                changed.check().is_err(),
                "seed {seed}: {what}: {:?}",
                changed.log
            );
        }
    }
}

fn changes(history: &History) -> Vec<(String, History)> {
    let mut all = Vec::new();
    let mut with = |what: String, change: &dyn Fn(&mut History)| {
        let mut changed = history.clone();
        change(&mut changed);
        all.push((what, changed));
    };
    let lines = history.log.len();
    for (index, line) in history.log.iter().enumerate() {
        // An absence that was seen last leaves no other trace in what is checked.
        if index + 1 < lines || line.from != line.to || line.epoch != history.row.epoch {
            with(format!("without line {index}"), &|it| {
                drop(it.log.remove(index))
            });
        }
        with(format!("line {index} twice"), &|it| {
            it.log.insert(index, line.clone())
        });
        if index + 1 < lines {
            with(format!("line {index} late"), &|it| {
                it.log.swap(index, index + 1)
            });
        }
        for step in [-1, 1] {
            with(format!("epoch of {index}"), &|it| {
                it.log[index].epoch += step
            });
        }
        for state in State::ALL {
            if state != line.from {
                with(format!("from of {index}"), &|it| it.log[index].from = state);
            }
            if state != line.to {
                with(format!("to of {index}"), &|it| it.log[index].to = state);
            }
        }
    }
    for (index, attempt) in history.attempts.iter().enumerate() {
        with(format!("no attempt {index}"), &|it| {
            drop(it.attempts.remove(index))
        });
        with(format!("attempt {index} twice"), &|it| {
            it.attempts.insert(index, attempt.clone());
        });
        with(format!("epoch of attempt {index}"), &|it| {
            it.attempts[index].epoch += 1
        });
        // A call that is presumed was meant at a moment that no line knows.
        let is_presumed = history
            .log
            .iter()
            .any(|line| line.to == State::Unknown && line.epoch + 1 == attempt.epoch);
        if !is_presumed {
            with(format!("intent of attempt {index}"), &|it| {
                it.attempts[index].intent_at = attempt.intent_at.plus(1);
            });
        }
        use AttemptPhase::{Absent, Confirmed, Decided, Open, Rejected};
        for phase in [Open, Confirmed, Rejected, Absent, Decided] {
            if phase != attempt.phase {
                with(format!("phase of attempt {index}"), &|it| {
                    it.attempts[index].phase = phase
                });
            }
        }
    }
    with("an attempt of which nobody knows".into(), &|it| {
        it.attempts.push(it.intent())
    });
    with("another epoch of the row".into(), &|it| it.row.epoch += 1);
    for state in State::ALL {
        if state != history.row.state {
            with("another state of the row".into(), &|it| {
                it.row.state = state
            });
        }
    }
    all
}

#[test]
fn published_is_left_by_nothing() {
    assert!(
        rules()
            .iter()
            .all(|rule| !rule.from.contains(&State::Published))
    );
}

#[test]
fn review_is_left_by_people_or_by_a_late_yes() {
    for rule in rules() {
        if rule.from.contains(&State::NeedsReview) {
            let is_yes = rule.cause == Cause::Confirmed;
            assert!(
                is_yes || rule.guards.contains(&Guard::ByPerson),
                "{:?}",
                rule.cause
            );
        }
    }
}

#[test]
fn a_guard_that_does_not_hold_is_named() {
    let mut history = History::new();
    let lost = history.take(Cause::Claimed, State::Preparing, By::Worker(false));
    let guard = Guard::Fenced;
    assert_eq!(
        lost,
        Err(Refusal::NoGround {
            cause: Cause::Claimed,
            guard
        })
    );
    history
        .take(Cause::Claimed, State::Preparing, By::Worker(true))
        .unwrap();
    history
        .take(Cause::Intended, State::Sending, By::Worker(true))
        .unwrap();
    history
        .take(Cause::Silent, State::Unknown, By::Worker(true))
        .unwrap();
    let early = history.take(Cause::Asked, State::Reconciling, By::Worker(true));
    let guard = Guard::Settled;
    assert_eq!(
        early,
        Err(Refusal::NoGround {
            cause: Cause::Asked,
            guard
        })
    );
    let again = history.take(Cause::Claimed, State::Preparing, By::Worker(true));
    assert!(matches!(again, Err(Refusal::NoSuchWay { .. })));
}

#[test]
fn a_call_ends_before_its_lease_whatever_the_spans() {
    for lease in [3, 30, 3 * SECOND, 30 * SECOND, 180 * SECOND] {
        for timeout in [1, SECOND, 60 * SECOND, 600 * SECOND] {
            let deadline = deadline(at(0), timeout, lease);
            assert!(deadline > at(0));
            assert!(deadline.plus(lease_margin(lease)) <= at(lease));
        }
    }
}
