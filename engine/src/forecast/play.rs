//! Plays the copy: from one moment at which something is due to the next.
//!
//! Owns the order of things within a moment. Invariant: the clock stands while there is anything to do at its moment,
//! and everything that is done is watched.

use std::collections::VecDeque;

use so_model::Timestamp;
use so_store::{StoreError, Tx, jobs, timers};
use tokio::sync::watch;

use super::{
    ENTRIES_MAX,
    told::{Outbound, Refusals},
    watch::Watch,
};
use crate::{
    Engine,
    admit::{Admission, JOB_RUN},
    clock::ManualClock,
    engine::Handed,
};

/// Timers that are read at a time: mostly one falls on a moment, and what is read beyond that is read again.
const TIMERS_AT_ONCE: i64 = 2;
/// Runs that are woken at a time.
const RUNS_AT_ONCE: i64 = 64;
/// Runs that one forecast carries on: ten for each entry that it may have.
const RUNS_MAX: usize = 10 * ENTRIES_MAX;

pub(super) struct Play {
    engine: Engine,
    clock: ManualClock,
    tx: Tx,
    watch: Watch,
    refusals: Refusals,
    outbound: Outbound,
    until: Timestamp,
    work: VecDeque<Handed>,
    carried: usize,
    /// Rings when a run is woken, so that their rows are looked at only then.
    bell: watch::Receiver<()>,
    /// When the next run is woken.
    run_at: Option<Timestamp>,
}

impl Play {
    pub(super) fn new(
        engine: Engine,
        clock: ManualClock,
        tx: Tx,
        watch: Watch,
        refusals: Refusals,
        outbound: Outbound,
        until: Timestamp,
    ) -> Self {
        let mut bell = engine.jobs_changed.listen();
        // What was copied has rung for nobody.
        bell.mark_changed();
        Self {
            bell,
            run_at: None,
            engine,
            clock,
            tx,
            watch,
            refusals,
            outbound,
            until,
            work: VecDeque::new(),
            carried: 0,
        }
    }

    /// The transaction, in which everything still stands, and what was seen.
    pub(super) fn into_parts(self) -> (Tx, Watch) {
        (self.tx, self.watch)
    }

    /// Plays to the end of the span; answers from when on it gave up, if it did.
    pub(super) async fn play_on(&mut self) -> Result<Option<Timestamp>, StoreError> {
        // The end itself belongs to the next span.
        let last = self.until.plus(-1);
        loop {
            self.do_work().await?;
            // Whoever gives a forecast up can do so at each moment.
            tokio::task::yield_now().await;
            let now = self.engine.now();
            if self.carried >= RUNS_MAX || self.watch.entries.len() >= ENTRIES_MAX {
                return Ok(Some(now));
            }
            let due = timers::claim_due(&mut self.tx, last, TIMERS_AT_ONCE).await?;
            let timer_at = due.first().map(|timer| timer.due_at);
            if self.bell.has_changed().unwrap_or(true) {
                self.bell.mark_unchanged();
                self.run_at = jobs::next_due(&mut self.tx, JOB_RUN).await?;
            }
            let Some(next) = timer_at.into_iter().chain(self.run_at).min() else {
                return Ok(None);
            };
            if next > last {
                return Ok(None);
            }
            let now = next.max(now);
            self.clock.set(now);
            match timer_at.filter(|at| *at <= now) {
                Some(_) => {
                    for timer in due.into_iter().take_while(|timer| timer.due_at <= now) {
                        self.fire(timer, now).await?;
                    }
                }
                None => self.wake(now).await?,
            }
        }
    }

    async fn fire(&mut self, timer: timers::Timer, now: Timestamp) -> Result<(), StoreError> {
        match self.engine.fire(&mut self.tx, &timer, now).await {
            Ok(admissions) => self.take(now, admissions),
            // One row that cannot be read must not keep all others from being forecast.
            Err(error @ StoreError::Corrupt { .. }) => {
                tracing::warn!(timer.kind = %timer.kind, %error, "a timer is left out of a forecast");
                timers::delete(&mut self.tx, timer.id).await?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn wake(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let (owner, until) = (self.engine.config.owner.clone(), now);
        let tx = &mut self.tx;
        for job in jobs::claim(tx, JOB_RUN, now, &owner, until, RUNS_AT_ONCE).await? {
            // What wakes the run from here on makes another job.
            jobs::finish(tx, &job).await?;
            self.work.push_back(Handed::of(job));
        }
        self.bell.mark_changed();
        Ok(())
    }

    async fn do_work(&mut self) -> Result<(), StoreError> {
        let now = self.engine.now();
        while let Some(handed) = self.work.pop_front() {
            self.carried += 1;
            if self.carried > RUNS_MAX {
                return Ok(());
            }
            let carried = match self.engine.advance_aside(&mut self.tx, handed).await {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::warn!(%error, "a run is left out of a forecast");
                    continue;
                }
                carried => carried?,
            };
            self.watch.carried(now, &carried);
            for out in self.outbound.take() {
                self.watch.out(now, out);
            }
            self.take(now, carried.admissions);
        }
        Ok(())
    }

    fn take(&mut self, now: Timestamp, admissions: Vec<Admission>) {
        for refused in self.refusals.take() {
            self.watch.refused(now, refused);
        }
        for admission in admissions {
            self.watch.admitted(now, &admission);
            self.work.extend(admission.jobs);
        }
    }
}
