//! When a failed try is repeated: exponential, capped, spread, and never
//! before the network said.

use so_model::{
    rule::Retry,
    time::{HOUR, SECOND},
};

use crate::schedule::parse_duration;

/// Microseconds before the try after number `tried` (from 1).
///
/// `unit` in 0..1 is the randomness; jitter shortens or lengthens by at most
/// its share, so that many steps that failed together do not return together.
pub fn delay_before(policy: &Retry, tried: i64, unit: f64, not_before: Option<i64>) -> i64 {
    let first = parse_duration(&policy.first).unwrap_or(10 * SECOND) as f64;
    let cap = parse_duration(&policy.cap).unwrap_or(HOUR) as f64;
    let exponent = i32::try_from((tried - 1).clamp(0, 60)).unwrap_or(60);
    let plain = (first * policy.factor.clamp(1.0, 10.0).powi(exponent)).min(cap);
    let spread = policy.jitter.clamp(0.0, 1.0) * (2.0 * unit - 1.0);
    let delay = (plain * (1.0 + spread)).max(0.0) as i64;
    delay.max(not_before.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(jitter: f64) -> Retry {
        Retry {
            tries: 5,
            first: "10s".into(),
            factor: 3.0,
            cap: "1m".into(),
            jitter,
        }
    }

    #[test]
    fn delays_grow_and_stop_at_the_cap() {
        let delays: Vec<i64> = (1..=4)
            .map(|n| delay_before(&policy(0.0), n, 0.5, None) / SECOND)
            .collect();
        assert_eq!(delays, [10, 30, 60, 60]);
    }

    #[test]
    fn the_networks_own_delay_wins_when_longer() {
        assert_eq!(
            delay_before(&policy(0.0), 1, 0.5, Some(90 * SECOND)),
            90 * SECOND
        );
        assert_eq!(
            delay_before(&policy(0.0), 1, 0.5, Some(SECOND)),
            10 * SECOND
        );
    }

    #[test]
    fn jitter_stays_within_its_share() {
        assert_eq!(delay_before(&policy(0.2), 1, 0.0, None), 8 * SECOND);
        assert_eq!(delay_before(&policy(0.2), 1, 1.0, None), 12 * SECOND);
    }
}
