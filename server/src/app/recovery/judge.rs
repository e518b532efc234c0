//! What the two witnesses mean together.
//!
//! Owns the decision; it is a pure function. Invariant: when in doubt whether history was lost, networks are
//! asked; when in doubt whether another life of the instance goes on, nothing is published.

use so_model::{Timestamp, time::MINUTE};

use super::{known::Known, mark::Mark, place::Home};

/// What was told to the network may be this much older than the heartbeat that came after it.
pub(super) const MARGIN: i64 = MINUTE;
/// After a longer rest than this the folder and the database may both have been put back, together.
pub(super) const REST: i64 = 15 * MINUTE;

/// What is so where the server was started.
#[derive(Debug, Clone)]
pub(super) struct Here {
    /// What this folder saw of this instance last.
    pub last: Option<Mark>,
    /// Where the database lies; none when that cannot be told.
    pub home: Option<Home>,
    /// Timeline of the PostgreSQL server.
    pub timeline: Option<i64>,
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody worked with this database before.
    First,
    /// It is what it was.
    GoesOn,
    /// It lost what happened since a moment, or may have.
    Gap {
        cause: &'static str,
        from: Timestamp,
        is_certain: bool,
    },
    /// It may be a second life.
    Held(&'static str),
}

pub(super) fn judge(known: &Known, here: &Here, now: Timestamp) -> Verdict {
    let certain = |cause, at: Timestamp| Verdict::Gap {
        cause,
        from: at.plus(-MARGIN),
        is_certain: true,
    };
    if let Some(at) = known.restored {
        return certain("a backup was restored", at);
    }
    let Some(heartbeat) = known.heartbeat else {
        return Verdict::First;
    };
    let seen = here.last.as_ref().map(|last| (last.epoch, last.heartbeat));
    let is_elsewhere =
        matches!((&known.home, &here.home), (Some(then), Some(now)) if !then.is(now));
    // Whoever served the instance until now may serve it at its new place.
    if is_elsewhere && seen.is_none_or(|seen| seen < (known.epoch, heartbeat)) {
        return Verdict::Held(
            "this database was used at another place, where it may be in use still",
        );
    }
    let is_behind = seen.is_some_and(|(epoch, at)| epoch > known.epoch || at > heartbeat);
    if is_elsewhere || is_behind {
        return certain("the database is older than this server knew it", heartbeat);
    }
    if let (Some(then), Some(now)) = (known.timeline, here.timeline)
        && then != now
    {
        return certain("another database server took over", heartbeat);
    }
    if now.since(heartbeat) > REST {
        return Verdict::Gap {
            cause: "the server rested",
            from: heartbeat.plus(-MARGIN),
            is_certain: false,
        };
    }
    Verdict::GoesOn
}
