//! Where time and randomness come from: injected, never asked for in passing.

use std::sync::{Arc, Mutex};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use so_model::{IdSource, Timestamp};

/// A clock in UTC, whole microseconds.
pub trait Clock: Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
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
        }
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
        self.clock.now()
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
