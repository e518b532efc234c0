//! The stage: whose turn it is, what the one source of chance says, what has
//! happened so far.
//!
//! Invariant: one piece of work moves at a time, and it stops only where it
//! says so here; whatever the machine's threads do, the same seed gives the
//! same turns.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future,
    io::Write as _,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use async_trait::async_trait;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use so_model::{Timestamp, time::SECOND};
use so_store::Interpose;

/// 2026-06-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_micros(1_780_272_000_000_000);
/// Lines of the trace that are kept for a report.
const LINES_KEPT: usize = 400;
/// Processes at the most; the last number stands for what is outside of all.
pub const OUTSIDE: usize = 9;

/// Where a piece of work waits.
#[derive(Debug, Clone)]
pub enum Why {
    /// For its turn.
    Turn,
    /// For a moment; for ever without one.
    Until(Option<i64>),
    /// Here its process dies.
    Crash,
}

/// What a process's commits have before them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Harm {
    /// The commit fails and had no effect.
    FailBefore,
    /// The commit took effect, the answer is lost.
    FailAfter,
    /// The process dies before the commit.
    CrashBefore,
    /// The process dies after it.
    CrashAfter,
}

pub type Parked = (Why, Arc<AtomicBool>);

/// Everything that decides and everything that was seen.
pub struct Scene {
    pub rng: StdRng,
    /// Microseconds since the start, as they pass.
    pub at: i64,
    /// What the machine's clock is off by.
    pub off: i64,
    /// The latest moment that the clock has shown.
    pub highest: i64,
    /// The process whose work moves.
    pub who: usize,
    /// Harm to come, after so many commits.
    pub harm: [Option<(Harm, u32)>; OUTSIDE + 1],
    /// The database answers nobody until then.
    pub away_until: i64,
    /// Nothing goes wrong any more.
    pub is_calm: bool,
    /// Rows changed since somebody looked when the next work is due.
    pub is_dirty: bool,
    /// Faults by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// First breach of an invariant.
    pub breach: Option<String>,
    parked: Option<Parked>,
    lines: VecDeque<String>,
    /// Where every line goes, if somebody wants them all.
    pub file: Option<std::io::BufWriter<std::fs::File>>,
    hash: u64,
    count: u64,
}

/// The stage, shared by everything that plays on it.
#[derive(Clone)]
pub struct Stage(Arc<Mutex<Scene>>);

impl Stage {
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Scene {
            rng: StdRng::seed_from_u64(seed),
            at: 0,
            off: 0,
            highest: 0,
            who: OUTSIDE,
            harm: [None; OUTSIDE + 1],
            away_until: 0,
            is_calm: true,
            is_dirty: true,
            faults: BTreeMap::new(),
            breach: None,
            parked: None,
            lines: VecDeque::new(),
            file: None,
            hash: 0xcbf2_9ce4_8422_2325,
            count: 0,
        })))
    }
    pub fn scene(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap()
    }
    pub fn note(&self, text: impl AsRef<str>) {
        self.scene().note(text.as_ref());
    }
    pub fn breach(&self, text: impl Into<String>) {
        self.scene().breach(text.into());
    }
    /// Waits here until the director lets it go on.
    pub fn wait(&self, why: Why) -> Wait {
        Wait {
            stage: self.clone(),
            why,
            go: Arc::default(),
        }
    }
    /// Waits for a span of time.
    pub fn pass(&self, span: i64) -> Wait {
        let until = self.scene().at + span;
        self.wait(Why::Until(Some(until)))
    }
    pub fn take_parked(&self) -> Option<Parked> {
        self.scene().parked.take()
    }
}

impl Scene {
    pub fn chance(&mut self, percent: f64) -> bool {
        self.rng.random::<f64>() * 100.0 < percent
    }
    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        self.rng.random_range(low..=high)
    }
    pub fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }
    pub fn seconds(&mut self, low: i64, high: i64) -> i64 {
        self.between(low * SECOND, high * SECOND)
    }
    pub fn fault(&mut self, kind: &'static str) {
        *self.faults.entry(kind).or_default() += 1;
    }
    pub fn breach(&mut self, text: String) {
        self.note(&format!("BREACH {text}"));
        self.breach.get_or_insert(text);
    }
    pub fn note(&mut self, text: &str) {
        let line = format!("{:>12} {} {text}", self.at, self.who);
        for byte in line.bytes() {
            self.hash = (self.hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        self.count += 1;
        if let Some(file) = &mut self.file {
            writeln!(file, "{line}").unwrap();
        }
        if self.lines.len() == LINES_KEPT {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }
    pub fn hash(&self) -> u64 {
        self.hash
    }
    pub fn count(&self) -> u64 {
        self.count
    }
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let skip = self.lines.len().saturating_sub(count);
        self.lines.iter().skip(skip).cloned().collect()
    }
    /// What stands before this commit of the process on stage.
    fn strike(&mut self, before: bool) -> Option<Harm> {
        let who = self.who;
        let (harm, left) = self.harm[who]?;
        let is_before = matches!(harm, Harm::FailBefore | Harm::CrashBefore);
        if is_before != before {
            return None;
        }
        if left > 0 {
            self.harm[who] = Some((harm, left - 1));
            return None;
        }
        self.harm[who] = None;
        self.fault(match harm {
            Harm::FailBefore => "commit failed",
            Harm::FailAfter => "commit's answer lost",
            Harm::CrashBefore => "crash before a commit",
            Harm::CrashAfter => "crash after a commit",
        });
        self.note(&format!("{harm:?}"));
        Some(harm)
    }
    fn is_away(&self) -> bool {
        self.who != OUTSIDE && !self.is_calm && self.at < self.away_until
    }
}

/// Somebody who waits on the stage.
pub struct Wait {
    stage: Stage,
    why: Why,
    go: Arc<AtomicBool>,
}

impl Future for Wait {
    type Output = ();
    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        if self.go.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        // Whoever drives this looks for it here, so nobody needs to be woken.
        self.stage.scene().parked = Some((self.why.clone(), self.go.clone()));
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        // Its caller lost patience in the very moment in which it was looked at.
        let mut scene = self.stage.scene();
        if scene
            .parked
            .as_ref()
            .is_some_and(|(_, go)| Arc::ptr_eq(go, &self.go))
        {
            scene.parked = None;
        }
    }
}

#[async_trait]
impl Interpose for Stage {
    async fn before_begin(&self) -> bool {
        let waits = {
            let mut scene = self.scene();
            // Set-up and checks play outside; they wait for nobody.
            scene.who != OUTSIDE && scene.chance(35.0)
        };
        if waits {
            self.wait(Why::Turn).await;
        }
        !self.scene().is_away()
    }
    async fn before_commit(&self) -> bool {
        let harm = self.scene().strike(true);
        match harm {
            Some(Harm::CrashBefore) => {
                self.wait(Why::Crash).await;
                false
            }
            Some(_) => false,
            None => true,
        }
    }
    async fn after_commit(&self) -> bool {
        let harm = {
            let mut scene = self.scene();
            scene.is_dirty = true;
            scene.strike(false)
        };
        match harm {
            Some(Harm::CrashAfter) => {
                self.wait(Why::Crash).await;
                false
            }
            Some(_) => false,
            None => true,
        }
    }
    fn before_read(&self) -> bool {
        !self.scene().is_away()
    }
}
