//! When to ask again.
//!
//! Owns the pace of polling one feed. Must not read a clock. Invariant: never sooner than asked for by the
//! user or the server, never later than a day, except when a feed is gone for good.

use std::time::Duration;

/// How a poll ended, as far as pacing is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PollOutcome {
    /// Read, or not modified.
    Ok,
    /// No usable answer.
    Failed,
    /// 410: the publisher took it away on purpose.
    Gone,
}

/// Longest time between two polls.
const LONGEST: i64 = 24 * 3600 * 1_000_000;
/// First wait after a failure, doubled with each further one.
const FIRST_WAIT: i64 = 5 * 60 * 1_000_000;
/// Shortest time between two polls, whatever is configured.
const SHORTEST: i64 = 60 * 1_000_000;

/// The moment of the next poll in microseconds since 1970; `None` means never again.
///
/// `failures` counts the failed polls in a row, this one included.
pub fn next_poll(
    now: i64,
    outcome: PollOutcome,
    failures: u32,
    min_interval: Duration,
    retry_after: Option<Duration>,
    cache_control_max_age: Option<Duration>,
) -> Option<i64> {
    let interval = micros(min_interval).max(SHORTEST);
    let wait = match outcome {
        PollOutcome::Gone => return None,
        PollOutcome::Ok => interval.max(cache_control_max_age.map_or(0, micros)),
        PollOutcome::Failed => {
            let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(20));
            doubled.max(interval)
        }
    };
    let wait = wait
        .max(retry_after.map_or(0, micros))
        .min(LONGEST.max(interval));
    Some(now.saturating_add(wait))
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60 * 1_000_000;

    fn wait(
        outcome: PollOutcome,
        failures: u32,
        retry: Option<u64>,
        age: Option<u64>,
    ) -> Option<i64> {
        let minutes = |n: u64| Duration::from_secs(60 * n);
        let next = next_poll(
            1_000,
            outcome,
            failures,
            minutes(10),
            retry.map(minutes),
            age.map(minutes),
        );
        next.map(|at| (at - 1_000) / MINUTE)
    }

    #[test]
    fn a_healthy_feed_is_asked_as_often_as_both_sides_want() {
        assert_eq!(wait(PollOutcome::Ok, 0, None, None), Some(10));
        assert_eq!(wait(PollOutcome::Ok, 0, None, Some(30)), Some(30));
        assert_eq!(wait(PollOutcome::Ok, 0, None, Some(5)), Some(10));
        assert_eq!(
            wait(PollOutcome::Ok, 0, None, Some(1_000_000)),
            Some(24 * 60)
        );
    }

    #[test]
    fn failures_double_the_wait_up_to_a_day() {
        let waits: Vec<_> = (1..=10)
            .map(|n| wait(PollOutcome::Failed, n, None, None).unwrap())
            .collect();
        assert_eq!(waits, [10, 10, 20, 40, 80, 160, 320, 640, 1280, 1440]);
        assert_eq!(wait(PollOutcome::Failed, u32::MAX, None, None), Some(1440));
    }

    #[test]
    fn a_server_that_says_when_is_obeyed() {
        assert_eq!(wait(PollOutcome::Failed, 1, Some(90), None), Some(90));
        assert_eq!(wait(PollOutcome::Ok, 0, Some(90), None), Some(90));
        assert_eq!(
            wait(PollOutcome::Failed, 1, Some(10_000_000), None),
            Some(1440)
        );
    }

    #[test]
    fn a_feed_that_is_gone_is_asked_no_more() {
        assert_eq!(wait(PollOutcome::Gone, 1, Some(1), None), None);
    }
}
