//! The way in: an event is stored, tried on its candidate rules, and the runs
//! it starts are made, all in one transaction.
//!
//! Invariant: event, decisions, runs and their first, already claimed jobs are
//! committed together; a second delivery changes nothing.

use std::sync::Arc;

use serde_json::Value;
use so_model::{
    IdSource as _, Timestamp,
    event::{Event, NewEvent},
    id::{JobId, RunId},
    rule::ModeKind,
    run::{ConditionTrace, Decision, Run, RunState, Verdict},
    time::{HOUR, SECOND},
};
use so_store::{
    StoreError, Tx, decisions, events, jobs, jobs::Job, rule_keys, rules, runs, timers,
    timers::Timer,
};

use crate::{
    config::{CHAIN_EVENTS_MAX, RULE_RUNS_PER_HOUR_MAX},
    decide::{self, CompiledRule, DecisionInput, FactValues, WorkspaceFacts},
    engine::{Engine, Handed},
    facts,
    schedule::parse_duration,
};

/// Runs of one key looked at, and the most that a mode can allow.
const ACTIVE_MAX: u32 = 1_000;

/// Kind of the jobs that carry runs.
pub const JOB_RUN: &str = "run";

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The stored event; the first delivery's when this was a second one.
    pub event: Event,
    /// False when this was a second delivery.
    pub is_new: bool,
    /// Runs that were started.
    pub runs: Vec<RunId>,
}

/// An admitted event with its claimed jobs, to be handed over after the commit.
#[derive(Debug)]
pub struct Admission {
    /// What became of the event.
    pub result: Admitted,
    /// Claimed jobs.
    pub jobs: Vec<Handed>,
}

impl Admission {
    pub(crate) fn clone_result(&self) -> Admitted {
        self.result.clone()
    }
}

/// Why a matching rule starts no run.
struct Refusal {
    verdict: Verdict,
    reason: String,
    /// Condition trace, where it was looked at.
    trace: Option<Box<ConditionTrace>>,
}

impl Refusal {
    fn traced(mut self, trace: Option<ConditionTrace>) -> Self {
        self.trace = trace.map(Box::new);
        self
    }
}

fn refuse(verdict: Verdict, reason: impl Into<String>) -> Refusal {
    Refusal {
        verdict,
        reason: reason.into(),
        trace: None,
    }
}

impl Engine {
    /// Stores an event and makes the runs it starts, within `tx`.
    ///
    /// After the commit give the jobs to `hand_over_all`.
    pub async fn admit(&self, tx: &mut Tx, new: NewEvent) -> Result<Admission, StoreError> {
        let now = self.now();
        let id = self.ids.new_id();
        let event = Event {
            id,
            workspace: new.workspace,
            kind: new.kind,
            source: new.source,
            dedupe: new.dedupe.unwrap_or_else(|| id.to_string()),
            subject: new.subject,
            time: new.time.unwrap_or(now),
            data: new.data,
            cause: new.cause,
        };
        if !events::insert(tx, &event, true, now).await? {
            let first = events::find_delivery(tx, event.workspace, &event.source, &event.dedupe)
                .await?
                .unwrap_or(event);
            return Ok(Admission {
                result: Admitted {
                    event: first,
                    is_new: false,
                    runs: Vec::new(),
                },
                jobs: Vec::new(),
            });
        }
        self.counters
            .events
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let jobs = self.decide_all(tx, &event, now).await?;
        let runs = jobs
            .iter()
            .filter_map(|handed| handed.fresh.as_ref().map(|fresh| fresh.0.id))
            .collect();
        Ok(Admission {
            result: Admitted {
                event,
                is_new: true,
                runs,
            },
            jobs,
        })
    }

    /// Hands over the jobs of several admissions after their commit.
    pub fn hand_over_all(&self, admissions: Vec<Admission>) {
        for admission in admissions {
            self.hand_over_admitted(admission.clone_result(), admission.jobs);
        }
        // What the transaction woke can be seen from now on; a notice before the commit came too early.
        self.jobs_changed.notify_one();
    }

    /// Tries an event on its candidates.
    pub(crate) async fn decide_all(
        &self,
        tx: &mut Tx,
        event: &Event,
        now: Timestamp,
    ) -> Result<Vec<Handed>, StoreError> {
        let mut jobs = Vec::new();
        if !self.config.is_alone
            && self.may_be_outdated(rules::newest_change(tx, event.workspace).await?)
        {
            self.reload_rules().await?;
        }
        let candidates = self.index().candidates(event);
        if candidates.is_empty() {
            return Ok(jobs);
        }
        let workspace = self.workspace(event.workspace).await?;
        let over_chain = event.cause.root.is_some()
            && events::count_in_chain(tx, event.cause.root.unwrap_or(event.id)).await?
                > CHAIN_EVENTS_MAX;
        let mut started: Vec<so_model::id::RuleId> = Vec::new();
        for (rule, trigger) in candidates {
            // Two triggers of one rule may match one event; it still starts once.
            if started.contains(&rule.id) {
                continue;
            }
            let decided = if over_chain {
                let reason =
                    format!("the chain of consequences has more than {CHAIN_EVENTS_MAX} events");
                Err(refuse(Verdict::LoopGuard, reason))
            } else {
                self.decide_one(tx, &rule, trigger, event, &workspace, now)
                    .await?
            };
            match decided {
                Ok(handed) => {
                    started.push(rule.id);
                    jobs.extend(handed);
                }
                Err(refusal) => {
                    self.counters
                        .refused
                        .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    let decision = Decision {
                        rule: rule.id,
                        version: rule.version,
                        trigger: rule.document.triggers[trigger].id.clone(),
                        verdict: refusal.verdict,
                        trace: refusal.trace.map(|trace| *trace),
                        reason: refusal.reason,
                    };
                    decisions::insert(tx, event.workspace, event.id, &decision, now).await?;
                }
            }
        }
        Ok(jobs)
    }

    async fn decide_one(
        &self,
        tx: &mut Tx,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        event: &Event,
        workspace: &WorkspaceFacts,
        now: Timestamp,
    ) -> Result<Result<Option<Handed>, Refusal>, StoreError> {
        let mut values = FactValues::default();
        for request in facts_asked(rule, trigger, event, workspace, now) {
            let value = facts::fetch(
                tx,
                event.workspace,
                rule.id,
                &request.fact,
                &request.params,
                now,
            )
            .await?;
            values.insert(request.key, value);
        }
        let (decision, keys) = judge(rule, trigger, event, workspace, now, &values);
        let trace = decision.trace;
        if decision.verdict != Verdict::Started {
            return Ok(Err(refuse(decision.verdict, decision.reason).traced(trace)));
        }
        let keys = match keys {
            Ok(keys) => keys,
            Err(reason) => return Ok(Err(refuse(Verdict::ConditionFailed, reason).traced(trace))),
        };
        if let Some(refusal) = self.gates(tx, rule, event, &keys, now).await? {
            return Ok(Err(refusal.traced(trace)));
        }
        let trace = trace.unwrap_or_else(ConditionTrace::unconditional);
        self.start(tx, rule, trigger, event, trace, keys.mode, now)
            .await
    }

    // Budget, dedupe, throttle and debounce, cheapest first.
    async fn gates(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        event: &Event,
        keys: &Keys,
        now: Timestamp,
    ) -> Result<Option<Refusal>, StoreError> {
        let document = rule.document.clone();
        if !self.spend_start(rule.id, now) {
            let reason =
                format!("the rule started {RULE_RUNS_PER_HOUR_MAX} times within this hour");
            return Ok(Some(refuse(Verdict::OverBudget, reason)));
        }
        if document.throttle.is_some() {
            rules::lock(tx, rule.id).await?;
        }
        if let Some(own) = document.limits.max_runs_per_hour {
            let max = i64::from(own).min(RULE_RUNS_PER_HOUR_MAX);
            if runs::count_since(tx, rule.id, now.plus(-HOUR)).await? >= max {
                let reason = format!("the rule already ran {max} times within the last hour");
                return Ok(Some(refuse(Verdict::OverBudget, reason)));
            }
        }
        if let Some(throttle) = &document.throttle {
            let span = parse_duration(&throttle.per).unwrap_or(HOUR);
            if self
                .throttle_is_full(
                    tx,
                    rule,
                    event,
                    &keys.throttle,
                    i64::from(throttle.max),
                    span,
                    now,
                )
                .await?
            {
                let reason = format!(
                    "already {} runs within the last {}",
                    throttle.max, throttle.per
                );
                return Ok(Some(refuse(Verdict::Throttled, reason)));
            }
        }
        if let Some(dedupe) = &document.dedupe {
            let key = &keys.dedupe;
            let until = dedupe
                .within
                .as_deref()
                .and_then(|text| parse_duration(text).ok())
                .map(|span| now.plus(span));
            let is_first =
                rule_keys::remember(tx, event.workspace, rule.id, key, event.id, now, until)
                    .await?;
            if !is_first {
                return Ok(Some(refuse(
                    Verdict::Duplicate,
                    format!("the key “{key}” was seen before"),
                )));
            }
        }
        if let Some(debounce) = &document.debounce {
            let span = parse_duration(&debounce.duration).unwrap_or(SECOND);
            self.debounce(tx, rule, event, &keys.debounce, now.plus(span), now)
                .await?;
            let reason = format!("waits {} for a later event", debounce.duration);
            return Ok(Some(refuse(Verdict::Debounced, reason)));
        }
        Ok(None)
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a key, a bound and a span of one rule and event"
    )]
    async fn throttle_is_full(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        event: &Event,
        key: &str,
        max: i64,
        span: i64,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let since = now.plus(-span);
        let used = rule_keys::count_ticks(tx, rule.id, key, since).await?;
        if used >= max {
            return Ok(true);
        }
        rule_keys::add_tick(
            tx,
            rule.workspace,
            rule.id,
            key,
            event.id,
            now,
            now.plus(span),
        )
        .await?;
        Ok(false)
    }

    async fn debounce(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        event: &Event,
        key: &str,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        rule_keys::set_debounced(tx, event.workspace, rule.id, key, event.id, now).await?;
        let timer = Timer {
            id: self.ids.new_id(),
            workspace: event.workspace,
            kind: "debounce".into(),
            subject: rule.id.to_string(),
            slot: key.to_string(),
            generation: rule.version,
            due_at,
            doc: Value::Null,
        };
        timers::put(tx, &timer).await?;
        self.timers_changed.notify_one();
        Ok(())
    }

    /// Makes a run unless its mode forbids; claims its first job.
    #[expect(clippy::too_many_arguments, reason = "everything a run is made of")]
    async fn start(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        trigger: usize,
        event: &Event,
        trace: ConditionTrace,
        key: String,
        now: Timestamp,
    ) -> Result<Result<Option<Handed>, Refusal>, StoreError> {
        let mode = &rule.document.mode;
        let max = mode.max.unwrap_or(ACTIVE_MAX).clamp(1, ACTIVE_MAX) as usize;
        let mut state = RunState::Running;
        // Parallel without a bound of its own needs no look at its neighbours.
        let is_unbounded = mode.kind == ModeKind::Parallel && mode.max.is_none();
        if !is_unbounded {
            rules::lock(tx, rule.id).await?;
            let active = runs::list_active(tx, rule.id, &key, i64::from(ACTIVE_MAX) + 1).await?;
            match mode.kind {
                ModeKind::Single if !active.is_empty() => {
                    return Ok(Err(refuse(
                        Verdict::ModeRefused,
                        "a run for this key is under way (mode single)",
                    )));
                }
                ModeKind::Parallel if active.len() >= max => {
                    let reason = format!("{max} runs for this key are under way (mode parallel)");
                    return Ok(Err(refuse(Verdict::ModeRefused, reason)));
                }
                ModeKind::Queued if active.len() > max => {
                    let reason = format!("{max} runs for this key are waiting (mode queued)");
                    return Ok(Err(refuse(Verdict::ModeRefused, reason)));
                }
                ModeKind::Queued if !active.is_empty() => state = RunState::Queued,
                ModeKind::Restart => {
                    for (id, _) in active {
                        let reason = "a later start took its place (mode restart)";
                        runs::set_state(
                            tx,
                            event.workspace,
                            id,
                            RunState::Cancelled,
                            Some(reason),
                            now,
                        )
                        .await?;
                    }
                }
                _ => {}
            }
        }
        let run = Run {
            id: self.ids.new_id(),
            workspace: event.workspace,
            rule: rule.id,
            version: rule.version,
            event: event.id,
            trigger: rule.document.triggers[trigger].id.clone(),
            state,
            key,
            decision: trace,
            reason: None,
            created_at: now,
            finished_at: None,
        };
        runs::insert(tx, &run).await?;
        self.counters
            .runs
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if state == RunState::Queued {
            return Ok(Ok(None));
        }
        let job = self.first_job(tx, &run, now).await?;
        Ok(Ok(job.map(|job| Handed {
            job,
            fresh: Some(Box::new((run, event.clone()))),
        })))
    }

    // Claimed at birth while there is room for it; otherwise it waits as a row.
    async fn first_job(
        &self,
        tx: &mut Tx,
        run: &Run,
        now: Timestamp,
    ) -> Result<Option<Job>, StoreError> {
        let id: JobId = self.ids.new_id();
        if self.room() < self.config.workers {
            jobs::wake(tx, id, run.workspace, JOB_RUN, &run.id.to_string(), now).await?;
            self.jobs_changed.notify_one();
            return Ok(None);
        }
        let job = Job {
            id,
            workspace: run.workspace,
            kind: JOB_RUN.into(),
            subject: run.id.to_string(),
            epoch: 1,
            tries: 1,
        };
        let until = now.plus(self.config.lease);
        jobs::insert_claimed(tx, &job, &self.config.owner, now, until).await?;
        Ok(Some(job))
    }

    /// Starts the run of an event that waited for its quiet spell.
    pub(crate) async fn start_debounced(
        &self,
        tx: &mut Tx,
        rule: &Arc<CompiledRule>,
        event: &Event,
        now: Timestamp,
    ) -> Result<Option<Handed>, StoreError> {
        let workspace = self.workspace(event.workspace).await?;
        // The rule may have been edited since the event came; its first trigger stands for one that is gone.
        let trigger = rule
            .triggers
            .iter()
            .position(|trigger| trigger.matches(event).is_ok())
            .unwrap_or(0);
        let key = match judge(
            rule,
            trigger,
            event,
            &workspace,
            now,
            &FactValues::default(),
        )
        .1
        {
            Ok(keys) => keys.mode,
            Err(_) => String::new(),
        };
        let mut trace = ConditionTrace::unconditional();
        trace.text = "held when the event came; the quiet spell is over".into();
        let started = self
            .start(tx, rule, trigger, event, trace, key, now)
            .await?;
        match started {
            Ok(handed) => Ok(handed),
            Err(refusal) => {
                let decision = Decision {
                    rule: rule.id,
                    version: rule.version,
                    trigger: rule.document.triggers[trigger].id.clone(),
                    verdict: refusal.verdict,
                    trace: None,
                    reason: refusal.reason,
                };
                decisions::insert(tx, event.workspace, event.id, &decision, now).await?;
                Ok(None)
            }
        }
    }
}

/// Values of a rule's keys for one event.
struct Keys {
    mode: String,
    throttle: String,
    debounce: String,
    dedupe: String,
}

fn facts_asked(
    rule: &CompiledRule,
    trigger: usize,
    event: &Event,
    workspace: &WorkspaceFacts,
    now: Timestamp,
) -> Vec<decide::FactRequest> {
    let none = FactValues::default();
    decide::facts_needed(
        rule,
        trigger,
        &DecisionInput::new(event, workspace, now, &none),
    )
}

/// The decision and the keys, taken from the same view of the event.
fn judge(
    rule: &CompiledRule,
    trigger: usize,
    event: &Event,
    workspace: &WorkspaceFacts,
    now: Timestamp,
    values: &FactValues,
) -> (Decision, Result<Keys, String>) {
    let input = DecisionInput::new(event, workspace, now, values);
    let decision = decide::decide(rule, trigger, &input);
    let facts = input.facts_for(rule, trigger);
    let keys = || -> Result<Keys, crate::script::ScriptError> {
        Ok(Keys {
            mode: rule.mode_key(&facts)?,
            throttle: rule.throttle_key(&facts)?,
            debounce: rule.debounce_key(&facts)?,
            dedupe: rule.dedupe_key(&facts)?.unwrap_or_default(),
        })
    };
    let keys = keys().map_err(|error| format!("a key cannot be computed: {error}"));
    (decision, keys)
}

/// Randomness of scripts comes from the event, so that a replay sees the same.
pub(crate) fn seed_of(event: &Event) -> u64 {
    event.id.uuid().as_u64_pair().1
}
