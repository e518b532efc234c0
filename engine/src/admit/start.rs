//! Makes runs: the mode decides, the first job is claimed at birth.
//!
//! Invariant: a mode that looks at its neighbours locks its rule first.

use std::sync::{Arc, atomic::Ordering};

use so_model::{
    IdSource as _,
    event::Event,
    id::JobId,
    rule::{Mode, ModeKind},
    run::{ConditionTrace, Run, RunState, Verdict},
    why::Recorded,
};
use so_store::{
    StoreError, Tx,
    jobs::{Job, NewJob},
    rules, runs, waits,
};

use super::{Desk, JOB_RUN, Refusal, judge, refuse};
use crate::{
    decide::{CompiledRule, FactValues},
    engine::{Engine, Fresh, Handed},
    run::wake_callers,
    workspaces::SeenWorkspace,
};

/// Runs of one key looked at, and the most that a mode can allow.
const ACTIVE_MAX: u32 = 1_000;

/// Runs in the way of a mode that are named in the record.
const RUNS_NAMED: usize = 3;

/// What a mode says about another start of a key.
#[derive(Debug, PartialEq)]
pub(crate) enum ModeSays {
    /// It runs.
    Run,
    /// It runs when its turn has come.
    Queue,
    /// It runs, and the others end.
    Restart,
    /// It does not.
    No(String),
}

impl ModeSays {
    /// With so many runs of the key that are not over.
    pub(crate) fn about(mode: &Mode, active: usize) -> Self {
        let max = mode.max.unwrap_or(ACTIVE_MAX).clamp(1, ACTIVE_MAX) as usize;
        match mode.kind {
            ModeKind::Single if active > 0 => {
                Self::No("a run for this key is under way (mode single)".into())
            }
            ModeKind::Parallel if active >= max => Self::No(format!(
                "{max} runs for this key are under way (mode parallel)"
            )),
            ModeKind::Queued if active > max => {
                Self::No(format!("{max} runs for this key are waiting (mode queued)"))
            }
            ModeKind::Queued if active > 0 => Self::Queue,
            ModeKind::Restart => Self::Restart,
            _ => Self::Run,
        }
    }
}

/// A rule that wants to start for an event.
pub(super) struct Start<'a> {
    pub(super) rule: &'a Arc<CompiledRule>,
    pub(super) workspace: &'a SeenWorkspace,
    /// Number of the trigger that matched.
    pub(super) trigger: usize,
    pub(super) event: &'a Arc<Event>,
    /// What its condition said.
    pub(super) trace: ConditionTrace,
    /// Key of its mode.
    pub(super) key: String,
}

impl Engine {
    /// Makes a run unless its mode forbids; claims its first job.
    pub(super) async fn start(
        &self,
        desk: &mut Desk<'_>,
        start: Start<'_>,
    ) -> Result<Result<Option<Handed>, Refusal>, StoreError> {
        let Start {
            rule,
            workspace,
            trigger,
            event,
            trace,
            key,
        } = start;
        let state = match self.mode_allows(desk, rule, event, &key).await? {
            Ok(state) => state,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let run = Run {
            id: self.ids.new_id(),
            workspace: event.workspace,
            rule: rule.id,
            version: rule.version,
            event: event.id,
            trigger: rule.triggers[trigger].id.clone(),
            state,
            key,
            decision: trace,
            reason: None,
            created_at: desk.now,
            finished_at: None,
        };
        if state != RunState::Running || self.keeps_row(rule, event) {
            desk.add_run(&run)?;
        }
        self.counters.runs.fetch_add(1, Ordering::Relaxed);
        if state == RunState::Queued {
            return Ok(Ok(None));
        }
        let job = self.first_job(desk, &run);
        Ok(Ok(job.map(|job| Handed {
            job,
            fresh: Some(Box::new(Fresh {
                run,
                event: event.clone(),
                rule: rule.clone(),
                workspace: workspace.clone(),
            })),
            read: None,
            place: None,
        })))
    }

    /// The state in which the run begins.
    async fn mode_allows(
        &self,
        desk: &mut Desk<'_>,
        rule: &CompiledRule,
        event: &Event,
        key: &str,
    ) -> Result<Result<RunState, Refusal>, StoreError> {
        let mode = &rule.document.mode;
        // Parallel without a bound of its own needs no look at its neighbours.
        if mode.kind == ModeKind::Parallel && mode.max.is_none() {
            return Ok(Ok(RunState::Running));
        }
        let now = desk.now;
        let tx: &mut Tx = desk.settled(self).await?;
        rules::lock(tx, rule.id).await?;
        let active = runs::list_active(tx, rule.id, key, i64::from(ACTIVE_MAX) + 1).await?;
        let refused = |reason: String| {
            let seen = Recorded {
                key: (!key.is_empty()).then(|| key.to_owned()),
                runs: active.iter().take(RUNS_NAMED).map(|(id, _)| *id).collect(),
                ..Recorded::default()
            };
            Ok(Err(refuse(Verdict::ModeRefused, reason).seeing(seen)))
        };
        match ModeSays::about(mode, active.len()) {
            ModeSays::No(reason) => refused(reason),
            ModeSays::Queue => Ok(Ok(RunState::Queued)),
            ModeSays::Restart => {
                let reason = Some("a later start took its place (mode restart)");
                let mut ended = Vec::with_capacity(active.len());
                for (id, _) in active {
                    runs::set_state(tx, event.workspace, id, RunState::Cancelled, reason, now)
                        .await?;
                    waits::delete_below(tx, id, crate::run::STEPS).await?;
                    ended.push(id);
                }
                wake_callers(self, tx, event.workspace, &ended, now).await?;
                Ok(Ok(RunState::Running))
            }
            ModeSays::Run => Ok(Ok(RunState::Running)),
        }
    }

    // Claimed at birth while there is room for it; otherwise it waits as a row.
    fn first_job(&self, desk: &mut Desk<'_>, run: &Run) -> Option<Job> {
        let id: JobId = self.ids.new_id();
        let (workspace, subject) = (run.workspace, run.id.to_string());
        if self.is_crowded() {
            desk.add_waiting(NewJob {
                id,
                workspace,
                kind: JOB_RUN,
                subject,
            });
            return None;
        }
        let job = Job {
            id,
            workspace,
            kind: JOB_RUN.into(),
            subject,
            epoch: 1,
            tries: 1,
        };
        desk.add_job(job.clone());
        Some(job)
    }

    /// Starts the run of an event that waited for its quiet spell.
    pub(crate) async fn start_debounced(
        &self,
        tx: &mut Tx,
        rule: &Arc<CompiledRule>,
        event: &Arc<Event>,
        now: so_model::Timestamp,
    ) -> Result<Option<Handed>, StoreError> {
        let workspace = self.see_workspace(event.workspace).await?;
        // The rule may have been edited since the event came; its first trigger stands for one that is gone.
        let trigger = rule
            .triggers
            .iter()
            .position(|trigger| trigger.matches(event).is_ok())
            .unwrap_or(0);
        let none = FactValues::default();
        let key = match judge(rule, trigger, event, &workspace.facts, now, &none).1 {
            Ok(keys) => keys.mode,
            Err(_) => String::new(),
        };
        let mut trace = ConditionTrace::unconditional();
        trace.text = "held when the event came; the quiet spell is over".into();
        let mut desk = Desk::new(tx, now);
        let start = Start {
            rule,
            workspace: &workspace,
            trigger,
            event,
            trace,
            key,
        };
        let started = self.start(&mut desk, start).await?;
        let handed = match started {
            Ok(handed) => handed,
            Err(refusal) => {
                desk.note(event, rule, trigger, refusal);
                None
            }
        };
        desk.settled(self).await?;
        Ok(handed)
    }
}
