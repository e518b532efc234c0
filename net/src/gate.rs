//! Remembers which hosts asked us to wait.
//!
//! Owns a bounded map from host to the moment it may be called again. Must not sleep or read a clock: times are
//! microseconds since 1970 and passed in. Invariant: the map never grows past [`MAX_GATED_HOSTS`].

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

/// Most hosts remembered at once: a few hundred bytes each.
pub const MAX_GATED_HOSTS: usize = 10_000;
/// First wait when a host gives none.
const FIRST_WAIT: Duration = Duration::from_secs(30);
/// Longest wait we choose ourselves.
const LONGEST_OWN_WAIT: Duration = Duration::from_secs(3600);
/// Longest wait taken from a host: a mistaken header must not silence it for weeks.
const LONGEST_ASKED_WAIT: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Copy, Debug)]
struct Wait {
    until: i64,
    refusals: u32,
}

/// Back-off per host, shared by all callers of that host.
#[derive(Debug, Default)]
pub struct HostGate {
    waits: Mutex<HashMap<String, Wait>>,
}

impl HostGate {
    /// An open gate for every host.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes note of an answer: 429 and 503 close the gate, success opens it, anything else changes nothing.
    pub fn record(&self, host: &str, status: u16, retry_after: Option<Duration>, now: i64) {
        let mut waits = self.lock();
        match status {
            429 | 503 => {
                let refusals = waits
                    .get(host)
                    .map_or(0, |wait| wait.refusals)
                    .saturating_add(1);
                let until = now.saturating_add(micros(wait_for(refusals, retry_after)));
                if waits.len() >= MAX_GATED_HOSTS && !waits.contains_key(host) {
                    make_room(&mut waits, now);
                }
                waits.insert(host.to_owned(), Wait { until, refusals });
            }
            200..=399 => {
                waits.remove(host);
            }
            _ => {}
        }
    }

    /// The moment until which `host` wants no calls, if that is in the future.
    pub fn wait_until(&self, host: &str, now: i64) -> Option<i64> {
        self.lock()
            .get(host)
            .map(|wait| wait.until)
            .filter(|until| *until > now)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Wait>> {
        // A panic while holding the lock leaves the map whole: every change is one call on it.
        self.waits
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn wait_for(refusals: u32, asked: Option<Duration>) -> Duration {
    match asked {
        Some(asked) => asked.min(LONGEST_ASKED_WAIT),
        None => FIRST_WAIT
            .saturating_mul(1 << (refusals - 1).min(10))
            .min(LONGEST_OWN_WAIT),
    }
}

fn make_room(waits: &mut HashMap<String, Wait>, now: i64) {
    waits.retain(|_, wait| wait.until > now);
    if waits.len() >= MAX_GATED_HOSTS {
        // The wait that ends first costs least to forget.
        let soonest = waits
            .iter()
            .min_by_key(|(_, wait)| wait.until)
            .map(|(host, _)| host.clone());
        if let Some(host) = soonest {
            waits.remove(&host);
        }
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000;

    #[test]
    fn a_host_that_says_when_is_left_alone_until_then() {
        let gate = HostGate::new();
        gate.record("a", 429, Some(Duration::from_secs(90)), 0);
        assert_eq!(gate.wait_until("a", 89 * SECOND), Some(90 * SECOND));
        assert_eq!(gate.wait_until("a", 90 * SECOND), None);
        assert_eq!(gate.wait_until("b", 0), None);
    }

    #[test]
    fn refusals_without_a_time_double_the_wait_up_to_an_hour() {
        let gate = HostGate::new();
        let mut waits = Vec::new();
        for _ in 0..10 {
            gate.record("a", 503, None, 0);
            waits.push(gate.wait_until("a", 0).unwrap() / SECOND);
        }
        assert_eq!(waits[..4], [30, 60, 120, 240]);
        assert_eq!(waits[9], 3600);
        gate.record("a", 200, None, 0);
        assert_eq!(gate.wait_until("a", 0), None);
    }

    #[test]
    fn an_absurd_wait_is_cut_to_a_day() {
        let gate = HostGate::new();
        gate.record("a", 429, Some(Duration::MAX), 5);
        assert_eq!(gate.wait_until("a", 5), Some(5 + 86_400 * SECOND));
    }

    #[test]
    fn the_map_stays_bounded() {
        let gate = HostGate::new();
        for n in 0..MAX_GATED_HOSTS + 50 {
            gate.record(
                &format!("h{n}"),
                429,
                Some(Duration::from_secs(60 + n as u64)),
                0,
            );
        }
        assert_eq!(gate.lock().len(), MAX_GATED_HOSTS);
        assert_eq!(
            gate.wait_until("h0", 0),
            None,
            "the shortest wait is forgotten first"
        );
    }
}
