//! Where time and randomness come from: injected, never asked for in passing.

use std::{
    sync::{Arc, Mutex, OnceLock},
    time::Instant,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use so_model::{IdSource, Timestamp, time::SECOND};

/// A clock that is moved by more than this was set; slewing moves it by far less between two looks.
const SET_MIN: i64 = 2 * SECOND;

/// A clock in UTC, whole microseconds.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
    /// Microseconds by a clock that nobody can set, from any beginning.
    ///
    /// Where there is none, the clock is taken to be never set.
    fn steady(&self) -> i64 {
        self.now().micros()
    }
}

/// The machine's clock; the only place that reads it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_chrono(chrono::Utc::now())
    }
    fn steady(&self) -> i64 {
        static BEGAN: OnceLock<Instant> = OnceLock::new();
        let span = BEGAN.get_or_init(Instant::now).elapsed();
        i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
    }
}

/// A clock that moves only when told.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<std::sync::atomic::AtomicI64>);

impl ManualClock {
    /// A clock that stands at a moment.
    pub fn at(start: Timestamp) -> Self {
        Self(Arc::new(std::sync::atomic::AtomicI64::new(start.micros())))
    }
    /// Moves on by microseconds.
    pub fn advance(&self, micros: i64) {
        self.0
            .fetch_add(micros, std::sync::atomic::Ordering::SeqCst);
    }
    /// Moves to a moment.
    pub fn set(&self, at: Timestamp) {
        self.0
            .store(at.micros(), std::sync::atomic::Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(std::sync::atomic::Ordering::SeqCst))
    }
}

/// Clock and randomness together: what new ids are made of.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<Mutex<StdRng>>,
    // Last millisecond and how many ids it had: ids of one process sort as they were made.
    order: Arc<Mutex<(i64, u16)>>,
    looks: Arc<Mutex<Option<Look>>>,
}

/// The latest look at both clocks.
#[derive(Debug, Clone, Copy)]
struct Look {
    wall: i64,
    steady: i64,
    /// When, by the steady clock, the other one was last seen to have been set.
    set_at: Option<i64>,
}

impl Ids {
    /// From the machine's clock and the operating system's randomness.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemClock), rand::random())
    }
    /// From a given clock and seed, so that tests repeat.
    pub fn new(clock: Arc<dyn Clock>, seed: u64) -> Self {
        Self {
            clock,
            random: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))),
            order: Arc::default(),
            looks: Arc::default(),
        }
    }
    /// Microseconds that have really passed since the clock was seen to have been set, if it was.
    ///
    /// What was reckoned by the clock before cannot be compared with what it says now.
    pub fn since_clock_was_set(&self) -> Option<i64> {
        self.now();
        let looks = self.looks();
        let look = (*looks)?;
        look.set_at.map(|at| look.steady - at)
    }
    fn looks(&self) -> std::sync::MutexGuard<'_, Option<Look>> {
        self.looks
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
    fn look(&self, wall: i64, steady: i64) {
        let mut looks = self.looks();
        let mut set_at = looks.and_then(|look| look.set_at);
        if let Some(last) = *looks
            && ((wall - last.wall) - (steady - last.steady)).abs() > SET_MIN
        {
            set_at = Some(steady);
        }
        *looks = Some(Look {
            wall,
            steady,
            set_at,
        });
    }
    /// A number in 0..1.
    pub fn unit(&self) -> f64 {
        self.with_random(|random| random.random())
    }
    /// Random bits.
    pub fn bits(&self) -> u64 {
        self.with_random(|random| random.random())
    }
    fn with_random<T>(&self, take: impl FnOnce(&mut StdRng) -> T) -> T {
        let mut random = self
            .random
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        take(&mut random)
    }
}

impl IdSource for Ids {
    fn now(&self) -> Timestamp {
        let now = self.clock.now();
        self.look(now.micros(), self.clock.steady());
        now
    }
    fn random(&self) -> [u8; 10] {
        let mut bytes: [u8; 10] = self.with_random(|random| random.random());
        let millis = self.now().micros() / 1000;
        let mut order = self
            .order
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *order = if order.0 == millis {
            (millis, order.1.wrapping_add(1))
        } else {
            (millis, 0)
        };
        // Twelve bits follow the millisecond in a UUIDv7.
        bytes[0] = (order.1 >> 8) as u8 & 0x0f;
        bytes[1] = (order.1 & 0xff) as u8;
        bytes
    }
}

impl std::fmt::Debug for Ids {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ids")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct TwoClocks(ManualClock, ManualClock);

    impl Clock for TwoClocks {
        fn now(&self) -> Timestamp {
            self.0.now()
        }
        fn steady(&self) -> i64 {
            self.1.now().micros()
        }
    }

    #[test]
    fn a_clock_that_is_set_is_noticed_and_one_that_runs_is_not() {
        let start = Timestamp::from_micros(1_780_000_000_000_000);
        let (wall, steady) = (ManualClock::at(start), ManualClock::at(start));
        let ids = Ids::new(Arc::new(TwoClocks(wall.clone(), steady.clone())), 1);
        for clock in [&wall, &steady] {
            clock.advance(3_600 * SECOND);
        }
        assert_eq!(ids.since_clock_was_set(), None);

        wall.advance(-3_600 * SECOND);
        assert_eq!(ids.since_clock_was_set(), Some(0));
        for clock in [&wall, &steady] {
            clock.advance(90 * SECOND);
        }
        assert_eq!(ids.since_clock_was_set(), Some(90 * SECOND));
    }
}
