//! What one transaction of admissions is yet to write.
//!
//! Invariant: rows wait here only until something reads the tables they belong
//! to, or the transaction goes on; they are written in few statements.

use so_model::{Timestamp, event::Event, run::Decision, run::Run};
use so_store::{
    StoreError, Tx, decisions,
    decisions::NewDecision,
    jobs::{self, Job, NewJob},
    runs::{self, NewRow},
};

use super::Refusal;
use crate::{decide::CompiledRule, engine::Engine};

/// A transaction with the rows that wait for it.
pub(crate) struct Desk<'t> {
    tx: &'t mut Tx,
    /// The moment of the transaction.
    begun_at: Timestamp,
    /// The moment of the event that is decided.
    pub(crate) now: Timestamp,
    runs: Vec<NewRow>,
    jobs: Vec<Job>,
    waiting: Vec<NewJob>,
    decisions: Vec<NewDecision>,
}

impl<'t> Desk<'t> {
    pub(crate) fn new(tx: &'t mut Tx, now: Timestamp) -> Self {
        Self {
            tx,
            begun_at: now,
            now,
            runs: Vec::new(),
            jobs: Vec::new(),
            waiting: Vec::new(),
            decisions: Vec::new(),
        }
    }

    /// Why a rule did not start.
    pub(super) fn note(
        &mut self,
        event: &Event,
        rule: &CompiledRule,
        trigger: usize,
        refusal: Refusal,
    ) {
        self.decisions.push(NewDecision {
            workspace: event.workspace,
            event: event.id,
            at: self.now,
            decision: Decision {
                rule: rule.id,
                version: rule.version,
                trigger: rule.triggers[trigger].id.clone(),
                verdict: refusal.verdict,
                trace: refusal.trace.map(|trace| *trace),
                reason: refusal.reason,
            },
            seen: refusal.seen.map(|seen| *seen),
        });
    }

    /// A run that begins.
    pub(crate) fn add_run(&mut self, run: &Run) -> Result<(), StoreError> {
        self.runs.push(NewRow::of(run)?);
        Ok(())
    }

    /// A job that is claimed from birth.
    pub(crate) fn add_job(&mut self, job: Job) {
        self.jobs.push(job);
    }

    /// A job that is due and whose row is nobody's yet.
    pub(super) fn add_waiting(&mut self, job: NewJob) {
        self.waiting.push(job);
    }

    /// The transaction, with everything written that waited.
    pub(crate) async fn settled(&mut self, engine: &Engine) -> Result<&mut Tx, StoreError> {
        if !self.runs.is_empty() {
            runs::insert_rows(self.tx, std::mem::take(&mut self.runs)).await?;
        }
        if !self.jobs.is_empty() {
            let until = self.begun_at.plus(engine.config.lease);
            let jobs = std::mem::take(&mut self.jobs);
            // A forecast carries runs on at once, and nobody else could.
            if engine.config.refusals.is_none() {
                jobs::insert_claimed(self.tx, &jobs, &engine.config.owner, self.begun_at, until)
                    .await?;
            }
        }
        if !self.waiting.is_empty() {
            let waiting = std::mem::take(&mut self.waiting);
            jobs::insert_due(self.tx, waiting, self.begun_at).await?;
        }
        if !self.decisions.is_empty() {
            let decisions = std::mem::take(&mut self.decisions);
            decisions::insert_many(self.tx, &decisions).await?;
        }
        Ok(self.tx)
    }
}
