//! Where processes are killed, and what must come of it. `cargo xtask tidy` refuses a point in the code that
//! is not named here or in the drill of tokens.

use so_model::{post::PostState, time::SECOND};

use crate::{
    ground::{Odd, Start},
    network::{Blow, Class},
};

/// The network's wish in K13; what follows the kill is much faster.
const RETRY_AFTER: i64 = 4 * SECOND;

const CAN_BE_ASKED: &[Class] = &[Class::A, Class::B, Class::C, Class::D, Class::E];

/// How one process ends.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// The crash point it dies at.
    pub at: Option<&'static str>,
    /// What the network does meanwhile.
    pub blow: Option<(&'static str, Blow)>,
    /// It is told to stop while a call is held.
    pub is_told_to_stop: bool,
    /// It dies within a migration.
    pub migrates: bool,
    /// After it the network's yes lies in the spill file.
    pub then_spill: bool,
}

/// How the post must end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Public once, and we know it.
    Once,
    /// The call was not taken: once after it was seen absent; a blind network leaves it to a person.
    Unsent,
    /// The call was taken, our side does not know: found; a blind network leaves it to a person.
    Taken,
    /// There is no post. The call may be repeated, or was made at most once and then so often.
    Called { by_blind: usize },
}

/// One line of the table.
#[derive(Debug, Clone)]
pub struct Point {
    pub name: &'static str,
    pub lives: Vec<Life>,
    pub end: End,
    pub start: Start,
    pub odd: Odd,
    pub accounts: usize,
    pub workers: usize,
    pub has_person: bool,
    pub prunes: bool,
    /// Events come while the process stops, far more than there are workers.
    pub sent_last: usize,
    /// No second call before the network's wish.
    pub obeys_wait: bool,
    classes: &'static [Class],
    pub on_sqlite_only: bool,
}

impl Point {
    fn new(name: &'static str, lives: Vec<Life>, end: End) -> Self {
        Self {
            name,
            lives,
            end,
            start: Start::Timer,
            odd: Odd::Nothing,
            accounts: 1,
            workers: 16,
            has_person: false,
            prunes: false,
            sent_last: 0,
            obeys_wait: false,
            classes: &Class::ALL,
            on_sqlite_only: false,
        }
    }

    pub fn has(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    /// There is no post.
    pub fn calls(&self) -> bool {
        matches!(self.end, End::Called { .. })
    }

    /// Posts that must be public, and the state that ours must have.
    pub fn expected(&self, class: Class) -> (usize, Option<PostState>) {
        let doubt = (class == Class::F && !self.has_person).then_some(PostState::NeedsReview);
        let published = Some(PostState::Published);
        match self.end {
            End::Called { .. } => (0, None),
            End::Once => (self.accounts, published),
            End::Unsent => (usize::from(doubt.is_none()), doubt.or(published)),
            End::Taken => (1, doubt.or(published)),
        }
    }

    fn from(self, start: Start) -> Self {
        Self { start, ..self }
    }
    fn odd(self, odd: Odd) -> Self {
        Self { odd, ..self }
    }
    fn person(self) -> Self {
        Self {
            has_person: true,
            ..self
        }
    }
    fn only(self, classes: &'static [Class]) -> Self {
        Self { classes, ..self }
    }
}

/// Dies at a crash point.
fn at(point: &'static str) -> Life {
    Life {
        at: Some(point),
        ..Life::default()
    }
}

/// Dies at a crash point after the network has done something.
fn after(op: &'static str, blow: Blow, point: &'static str) -> Life {
    Life {
        blow: Some((op, blow)),
        ..at(point)
    }
}

/// The network kills it.
fn by_network(blow: Blow) -> Life {
    Life {
        blow: Some(("commit", blow)),
        ..Life::default()
    }
}

/// Told to stop while the network holds a call for longer than the drain lasts.
fn stopped(blow: Blow, point: Option<&'static str>) -> Life {
    Life {
        at: point,
        is_told_to_stop: true,
        ..by_network(blow)
    }
}

/// Every point, in the order of the protocol.
pub fn all() -> Vec<Point> {
    let mut points = claimed_and_prepared();
    points.extend(called());
    points.extend(settled());
    points.extend(in_doubt());
    points.extend(around());
    points.extend(calls());
    points.push(Point {
        accounts: 12,
        ..Point::new("crowd", Vec::new(), End::Once)
    });
    points
}

fn claimed_and_prepared() -> Vec<Point> {
    let once = |name, point| Point::new(name, vec![at(point)], End::Once);
    vec![
        once("timer.commit", "timer.commit"),
        once("ingest.commit", "ingest.commit").from(Start::Sender),
        once("left_over.commit", "left_over.commit").from(Start::Undecided),
        once("K16", "K16"),
        once("K16 sender", "K16").from(Start::Sender),
        once("run.local.commit", "run.local.commit"),
        once("job.claim.commit", "job.claim.commit"),
        once("job.note.commit", "job.note.commit").odd(Odd::NewerJob),
        once("K1", "K1"),
        once("K2", "K2"),
        once("prepare", "prepare"),
        once("prepare 2nd", "prepare:2"),
        once("K3", "K3"),
        once("K3 2nd", "K3:2"),
        once("K4", "K4"),
        once("K4 2nd", "K4:2"),
        Point::new(
            "lease.renew.commit",
            vec![after("upload", Blow::Silence, "lease.renew.commit")],
            End::Once,
        ),
        once("hold.commit", "hold.commit")
            .odd(Odd::Disconnected)
            .person(),
        once("K5", "K5"),
    ]
}

fn called() -> Vec<Point> {
    let stop_and_send = Point {
        workers: 1,
        sent_last: 20,
        ..Point::new(
            "job.release.commit",
            vec![stopped(Blow::HoldAccepted, Some("job.release.commit"))],
            End::Taken,
        )
        // Calls that are under way would be lost to a blind receiver; how many those are is not known.
        .only(CAN_BE_ASKED)
    };
    vec![
        Point::new("K6", vec![at("K6")], End::Unsent),
        Point::new("K7", vec![by_network(Blow::HalfRequest)], End::Unsent),
        Point::new("K8", vec![by_network(Blow::Accepted)], End::Taken),
        Point::new("K9", vec![by_network(Blow::HalfAnswer)], End::Taken),
        Point::new("K10", vec![at("K10")], End::Taken),
        Point::new("K14", vec![stopped(Blow::HoldAccepted, None)], End::Taken),
        Point::new(
            "K14 taken late",
            vec![stopped(Blow::HoldUnread, None)],
            End::Taken,
        ),
        stop_and_send,
    ]
}

fn settled() -> Vec<Point> {
    let refused = after("commit", Blow::Busy(SECOND), "refused.commit");
    let waits = after("commit", Blow::Busy(RETRY_AFTER), "K13");
    let spilled = Life {
        then_spill: true,
        ..at("K10")
    };
    vec![
        Point::new("confirm.commit", vec![at("confirm.commit")], End::Taken),
        Point::new("K11", vec![at("K11")], End::Once),
        Point::new("refused.commit", vec![refused], End::Unsent),
        Point {
            obeys_wait: true,
            ..Point::new("K13", vec![waits], End::Once)
        },
        Point::new(
            "spill.replay.commit",
            vec![spilled.clone(), at("spill.replay.commit")],
            End::Once,
        ),
        Point::new(
            "job.finish.commit",
            vec![spilled, at("job.finish.commit")],
            End::Once,
        ),
    ]
}

fn in_doubt() -> Vec<Point> {
    const BLIND: &[Class] = &[Class::F];
    let taken = |name, point| Point::new(name, vec![at("K10"), at(point)], End::Taken);
    let unsent = |name, point| Point::new(name, vec![at("K6"), at(point)], End::Unsent);
    let later = after("find", Blow::Later, "ask_later.commit");
    vec![
        taken("unknown.commit", "unknown.commit"),
        taken("K1 in doubt", "K1"),
        taken("K2 in doubt", "K2"),
        taken("K12", "K12"),
        unsent("K12 unsent", "K12"),
        Point::new("ask_later.commit", vec![at("K10"), later], End::Taken).only(CAN_BE_ASKED),
        unsent("absent.commit", "absent.commit").only(CAN_BE_ASKED),
        unsent("absent.commit 2nd", "absent.commit:2").only(CAN_BE_ASKED),
        unsent("K6 again", "K6").only(CAN_BE_ASKED),
        taken("end.commit", "end.commit").only(BLIND),
        taken("decided.commit", "decided.commit")
            .only(BLIND)
            .person(),
        unsent("decided.commit resend", "decided.commit")
            .only(BLIND)
            .person(),
        Point {
            on_sqlite_only: true,
            ..taken("recover.commit", "recover.commit")
        },
        taken("lease.rescue.commit", "lease.rescue.commit"),
        Point::new(
            "K15",
            vec![
                at("K10"),
                Life {
                    migrates: true,
                    ..Life::default()
                },
            ],
            End::Taken,
        ),
    ]
}

fn around() -> Vec<Point> {
    let once = |name| Point::new(name, vec![at(name)], End::Once);
    vec![
        Point {
            prunes: true,
            ..once("prune.commit")
        },
        Point {
            prunes: true,
            ..once("thin.commit")
        },
        once("job.put_back.commit").odd(Odd::BrokenRun),
        once("run.gone.commit").odd(Odd::LostRun),
        once("run.unreadable.commit").odd(Odd::UnreadableRun),
        Point::new("presumed.commit", vec![at("presumed.commit")], End::Unsent).odd(Odd::Gap),
        once("nothing_lost.commit")
            .odd(Odd::PossibleGap)
            .only(&[Class::F]),
    ]
}

fn calls() -> Vec<Point> {
    const BLIND: &[Class] = &[Class::F];
    let call = |name, life, by_blind| {
        Point::new(name, vec![life], End::Called { by_blind }).from(Start::Call)
    };
    vec![
        // What is found begun is not begun again.
        call("remote.before", at("remote.before"), 0),
        call("remote.after", at("remote.after"), 1),
        call("remote.intent.commit", at("remote.intent.commit"), 1).only(BLIND),
        call("run.end.commit", at("run.end.commit"), 1),
        call("remote.done.commit", at("remote.done.commit"), 1).from(Start::CallAndGoOn),
        call("calls.before", at("calls.before"), 0).from(Start::CallTogether),
        call("calls.after", at("calls.after"), 2).from(Start::CallTogether),
        call("calls.intent.commit", at("calls.intent.commit"), 2)
            .only(BLIND)
            .from(Start::CallTogether),
        call("calls.done.commit", at("calls.done.commit"), 2).from(Start::CallTogether),
        // The loop and its ways are begun; later they are closed.
        call("run.local.commit loop", at("run.local.commit"), 1).from(Start::CallAndGoOn),
        call("run.local.commit loop 2nd", at("run.local.commit:2"), 1).from(Start::CallAndGoOn),
        call(
            "remote.failed.commit",
            after("note", Blow::Later, "remote.failed.commit"),
            0,
        ),
    ]
}

/// Points that no process here can be made to pass, and why that is no gap.
pub const NOT_DRIVEN: [(&str, &str); 4] = [
    (
        "lane.put_off.commit",
        "passed only if thousands wait for one place; puts a job off and changes nothing else",
    ),
    (
        "spill",
        "passed when the database is away at the network's yes; the power-cut drill fills the disk for it",
    ),
    (
        "shadow.claim.commit",
        "a shadow reads what happened and does nothing; a claim that is lost ends by itself",
    ),
    (
        "shadow.advance.commit",
        "counts, differences and how far it came are one commit, and are only shown",
    ),
];
