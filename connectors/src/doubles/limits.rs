//! How much a double takes within a span.
//!
//! Owns counting. Must not word an answer: that is each network's. Invariant:
//! what is over a limit is not counted by [`Windows::take`], so waiting until
//! the reset that is told always helps.

use std::collections::HashMap;

use so_model::{Timestamp, time::SECOND};

/// Where a span begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// At a multiple of the span since 1970.
    ByTheClock,
    /// With the first use after the former span.
    AtFirstUse,
}

/// So much within so many seconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    pub name: &'static str,
    pub most: u64,
    pub seconds: i64,
    pub begin: Begin,
}

/// How a limit stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    pub most: u64,
    pub left: u64,
    pub seconds: i64,
    pub reset: Timestamp,
}

/// What was used of limits, by limit and by whom.
#[derive(Debug, Default)]
pub(crate) struct Windows(HashMap<(&'static str, String), Window>);

#[derive(Debug, Clone, Copy)]
struct Window {
    begin: i64,
    used: u64,
}

impl Windows {
    /// Counts a use if the limit has room for it; otherwise tells how it stands.
    pub(crate) fn take(
        &mut self,
        limit: &Limit,
        who: &str,
        amount: u64,
        now: Timestamp,
    ) -> Result<Standing, Standing> {
        let window = self.window(limit, who, now);
        if window.used + amount > limit.most {
            return Err(standing(limit, *window, now));
        }
        window.used += amount;
        Ok(standing(limit, *window, now))
    }

    /// Counts a use of each limit; tells of the tightest one, or of the first that has no room.
    pub(crate) fn take_all(
        &mut self,
        limits: &[(Limit, &str)],
        amount: u64,
        now: Timestamp,
    ) -> Result<Option<Standing>, Standing> {
        let mut tightest: Option<Standing> = None;
        for (limit, who) in limits {
            let standing = self.take(limit, who, amount, now)?;
            if tightest.is_none_or(|known| standing.left < known.left) {
                tightest = Some(standing);
            }
        }
        Ok(tightest)
    }

    /// How a limit stands.
    pub(crate) fn look(&mut self, limit: &Limit, who: &str, now: Timestamp) -> Standing {
        standing(limit, *self.window(limit, who, now), now)
    }

    fn window(&mut self, limit: &Limit, who: &str, now: Timestamp) -> &mut Window {
        let seconds = now.seconds();
        let fresh = Window {
            begin: match limit.begin {
                Begin::ByTheClock => seconds - seconds.rem_euclid(limit.seconds),
                Begin::AtFirstUse => seconds,
            },
            used: 0,
        };
        let key = (limit.name, who.to_owned());
        let window = self.0.entry(key).or_insert(fresh);
        if seconds >= window.begin + limit.seconds {
            *window = fresh;
        }
        window
    }
}

fn standing(limit: &Limit, window: Window, now: Timestamp) -> Standing {
    let to_end = window.begin + limit.seconds - now.seconds();
    Standing {
        most: limit.most,
        left: limit.most.saturating_sub(window.used),
        seconds: limit.seconds,
        // Whole seconds from now: never before the span ends.
        reset: now.plus(to_end * SECOND),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Limit = Limit {
        name: "test",
        most: 3,
        seconds: 100,
        begin: Begin::ByTheClock,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * SECOND)
    }

    #[test]
    fn a_limit_is_whole_again_when_its_span_ends_and_for_others_all_the_time() {
        let mut windows = Windows::default();
        for left in [2, 1, 0] {
            assert_eq!(windows.take(&LIMIT, "ann", 1, at(150)).unwrap().left, left);
        }
        let over = windows.take(&LIMIT, "ann", 1, at(199)).unwrap_err();
        assert_eq!((over.left, over.reset), (0, at(200)));
        assert!(windows.take(&LIMIT, "bob", 1, at(199)).is_ok());
        assert!(windows.take(&LIMIT, "ann", 1, at(200)).is_ok());
    }

    #[test]
    fn a_span_may_begin_with_its_first_use() {
        let limit = Limit {
            begin: Begin::AtFirstUse,
            ..LIMIT
        };
        let mut windows = Windows::default();
        assert_eq!(windows.take(&limit, "", 3, at(150)).unwrap().left, 0);
        let over = windows.take(&limit, "", 1, at(249)).unwrap_err();
        assert_eq!(over.reset, at(250));
        assert!(windows.take(&limit, "", 1, at(250)).is_ok());
    }
}
