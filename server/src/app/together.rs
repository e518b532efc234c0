//! Two threads that take turns, kept on one processor: waking a thread of another one costs more than their work does.
//!
//! Invariant: a thread is kept there only while its [`Kept`] is held. What is started meanwhile stays there for good, so
//! nothing that serves others may be started then.

#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// A processor for threads that take turns.
pub(super) struct Processor {
    #[cfg(target_os = "linux")]
    own: Option<CpuSet>,
}

/// This thread stays where it is until this is dropped.
#[must_use]
pub(super) struct Kept {
    #[cfg(target_os = "linux")]
    before: Option<CpuSet>,
}

#[cfg(target_os = "linux")]
impl Processor {
    /// Two that ask one after the other get two processors, if there are as many.
    pub(super) fn next() -> Self {
        use std::sync::atomic::{AtomicUsize, Ordering};

        static TURN: AtomicUsize = AtomicUsize::new(0);
        let own = sched_getaffinity(None).ok().and_then(|allowed| {
            let all = (0..CpuSet::MAX_CPU).filter(|processor| allowed.is_set(*processor));
            let all: Vec<usize> = all.collect();
            let turn = TURN.fetch_add(1, Ordering::Relaxed);
            let mut own = CpuSet::new();
            own.set(*all.get(turn % all.len().max(1))?);
            Some(own)
        });
        Self { own }
    }

    /// Keeps this thread there; without the right to it, work only takes longer.
    pub(super) fn keep(&self) -> Kept {
        let before = self.own.as_ref().and_then(|own| {
            let before = sched_getaffinity(None).ok()?;
            sched_setaffinity(None, own).ok()?;
            Some(before)
        });
        Kept { before }
    }
}

#[cfg(target_os = "linux")]
impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            sched_setaffinity(None, before).ok();
        }
    }
}

#[cfg(not(target_os = "linux"))]
impl Processor {
    /// Here threads are where they are.
    pub(super) fn next() -> Self {
        Self {}
    }

    /// Keeps nothing.
    pub(super) fn keep(&self) -> Kept {
        Kept {}
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_thread_goes_where_it_may_again_and_what_it_started_meanwhile_stays() {
        let may = || sched_getaffinity(None).unwrap();
        let tried = std::thread::spawn(move || {
            let before = may();
            let kept = Processor::next().keep();
            assert_eq!(may().count(), 1);
            let started = std::thread::spawn(move || may().count());
            assert_eq!(started.join().unwrap(), 1);
            drop(kept);
            assert!(may() == before);
            let started = std::thread::spawn(may);
            assert!(started.join().unwrap() == before);
        });
        tried.join().unwrap();
    }
}
