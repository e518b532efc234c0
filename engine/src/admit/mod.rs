//! The way in: an event is stored, tried on its candidate rules, and the runs
//! it starts are made, all in one transaction.
//!
//! Invariant: event, decisions, runs and their first, already claimed jobs are
//! committed together; a second delivery changes nothing.

mod ahead;
#[cfg(test)]
mod canary_tests;
mod desk;
mod gates;
mod intake;
mod start;

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use so_model::{
    Timestamp,
    event::{Event, NewEvent},
    id::{RuleId, RunId, WorkspaceId},
    run::{ConditionTrace, Decision, Verdict},
    why::Recorded,
};
use so_store::{StoreError, Tx, events, rules};

use ahead::{Coming, Foreseen, Judged, candidates};
pub(crate) use desk::Desk;
pub(crate) use gates::said;
pub use intake::Intake;
pub(crate) use start::ModeSays;
use start::Start;

use crate::{
    config::CHAIN_EVENTS_MAX,
    decide::{self, CompiledRule, DecisionInput, FactValues, WorkspaceFacts},
    engine::{Engine, Handed},
    facts,
    run::is_awaited,
    workspaces::SeenWorkspace,
};

/// Steps from the root from which on a forecast counts the events of a chain.
const FORECAST_DEPTH_COUNTED: u32 = 4;
/// Kind of the jobs that carry runs.
pub const JOB_RUN: &str = "run";

/// What became of an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The stored event; the first delivery's when this was a second one.
    pub event: Arc<Event>,
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

/// Why a matching rule starts no run.
struct Refusal {
    verdict: Verdict,
    reason: String,
    /// Trace of the clause that failed, where the condition did.
    trace: Option<Box<ConditionTrace>>,
    /// What was looked at beside the event.
    seen: Option<Box<Recorded>>,
}

impl Refusal {
    /// What the condition looked at is known as well.
    fn having(mut self, known: Option<Recorded>) -> Self {
        let Some(known) = known else { return self };
        let own = self.seen.map_or_else(Recorded::default, |own| *own);
        self.seen = Some(Box::new(Recorded {
            zone: known.zone,
            workspace: known.workspace,
            facts: known.facts,
            ..own
        }));
        self
    }

    /// Seen beside the event.
    fn seeing(mut self, seen: Recorded) -> Self {
        self.seen = Some(Box::new(seen));
        self
    }
}

fn refuse(verdict: Verdict, reason: impl Into<String>) -> Refusal {
    Refusal {
        verdict,
        reason: reason.into(),
        trace: None,
        seen: None,
    }
}

impl Engine {
    /// Stores an event and makes the runs it starts, within `tx`.
    ///
    /// After the commit give the jobs to `hand_over_all`.
    pub async fn admit(&self, tx: &mut Tx, new: NewEvent) -> Result<Admission, StoreError> {
        let mut all = Box::pin(self.admit_all(tx, vec![new])).await?;
        all.pop().ok_or(StoreError::Stale { what: "event" })
    }

    /// Stores events and makes the runs they start, within `tx`; answers in the order of the events.
    pub async fn admit_all(
        &self,
        tx: &mut Tx,
        new: Vec<NewEvent>,
    ) -> Result<Vec<Admission>, StoreError> {
        let coming: Result<Vec<Coming>, StoreError> =
            new.into_iter().map(|new| self.coming(new)).collect();
        self.admit_coming(tx, coming?).await
    }

    async fn admit_coming(
        &self,
        tx: &mut Tx,
        coming: Vec<Coming>,
    ) -> Result<Vec<Admission>, StoreError> {
        let now = self.now();
        let mut rows = Vec::with_capacity(coming.len());
        let mut made = Vec::with_capacity(coming.len());
        for one in coming {
            rows.push(one.row);
            made.push((one.event, one.now, one.foreseen));
        }
        let stored = events::insert_and_look(tx, rows).await?;
        let workspaces = made.iter().map(|(event, ..)| event.workspace).collect();
        self.see_newest_rules(tx, workspaces).await?;
        let mut desk = Desk::new(tx, now);
        let mut admissions = Vec::with_capacity(made.len());
        for (event, came_at, foreseen) in made {
            let waited_for = stored.get(&event.id).copied();
            let jobs = if let Some(is_waited_for) = waited_for {
                self.counters.events.fetch_add(1, Ordering::Relaxed);
                if is_waited_for {
                    self.tell_waiting(desk.settled(self).await?, &event, now)
                        .await?;
                }
                desk.now = came_at;
                self.decide_event(&mut desk, &event, foreseen).await?
            } else {
                Vec::new()
            };
            let runs = jobs
                .iter()
                .filter_map(|handed| handed.fresh.as_ref().map(|fresh| fresh.run.id))
                .collect();
            admissions.push(Admission {
                result: Admitted {
                    event,
                    is_new: waited_for.is_some(),
                    runs,
                },
                jobs,
            });
        }
        let tx = desk.settled(self).await?;
        for admission in admissions.iter_mut().filter(|one| !one.result.is_new) {
            let event = &admission.result.event;
            let (source, dedupe) = (event.source.as_str(), event.dedupe.as_str());
            let first = events::find_delivery(tx, event.workspace, source, dedupe).await?;
            if let Some(first) = first {
                admission.result.event = Arc::new(first);
            }
        }
        Ok(admissions)
    }

    // Another process may have saved a rule that the index does not have yet.
    async fn see_newest_rules(
        &self,
        tx: &mut Tx,
        workspaces: BTreeSet<WorkspaceId>,
    ) -> Result<(), StoreError> {
        // A server that waits for its owner takes events in before anything of it works.
        if self.has_read_no_rules() {
            return self.reload_rules().await;
        }
        if self.config.is_alone {
            return Ok(());
        }
        // Nearly always nobody changed any: one look at the end of an index, in place of one for each workspace.
        if workspaces.len() > 1 && !self.may_be_outdated(rules::newest_change_of_any(tx).await?) {
            return Ok(());
        }
        let workspaces: Vec<WorkspaceId> = workspaces.into_iter().collect();
        if self.may_be_outdated(rules::newest_change(tx, &workspaces).await?) {
            return self.reload_rules().await;
        }
        Ok(())
    }

    /// Hands over the jobs of several admissions after their commit.
    pub fn hand_over_all(&self, admissions: Vec<Admission>) {
        self.hand_over_jobs(admissions);
        // What the transaction woke can be seen from now on; a notice before the commit came too early.
        self.jobs_changed.ring();
    }

    fn hand_over_jobs(&self, admissions: Vec<Admission>) {
        for admission in admissions {
            self.hand_over_admitted(&admission.result, admission.jobs);
        }
    }

    /// Tries a stored event on its candidates, within `tx`.
    pub(crate) async fn decide_all(
        &self,
        tx: &mut Tx,
        event: &Arc<Event>,
        now: Timestamp,
    ) -> Result<Vec<Handed>, StoreError> {
        self.see_newest_rules(tx, BTreeSet::from([event.workspace]))
            .await?;
        self.tell_waiting(tx, event, now).await?;
        let mut desk = Desk::new(tx, now);
        let jobs = self.decide_event(&mut desk, event, None).await?;
        desk.settled(self).await?;
        Ok(jobs)
    }

    async fn decide_event(
        &self,
        desk: &mut Desk<'_>,
        event: &Arc<Event>,
        foreseen: Option<Foreseen>,
    ) -> Result<Vec<Handed>, StoreError> {
        let mut jobs = Vec::new();
        let index = self.index();
        let mut found = match &foreseen {
            Some(_) => Vec::new(),
            None => candidates(&index, event),
        };
        if foreseen.is_none() && found.is_empty() {
            return Ok(jobs);
        }
        let workspace = match &foreseen {
            Some(foreseen) => self.workspace_again(foreseen.workspace.clone()).await?,
            None => self.see_workspace(event.workspace).await?,
        };
        if let Some(foreseen) = foreseen {
            let judged = foreseen.of(&index, &workspace.facts);
            found = judged.unwrap_or_else(|| candidates(&index, event));
        }
        let over_chain = match event.cause.root {
            // A forecast counts only where a chain grows long.
            Some(_)
                if self.config.refusals.is_some() && event.cause.depth < FORECAST_DEPTH_COUNTED =>
            {
                false
            }
            Some(root) => {
                events::count_in_chain(desk.settled(self).await?, root).await? > CHAIN_EVENTS_MAX
            }
            None => false,
        };
        let mut started: Vec<RuleId> = Vec::new();
        for candidate in found {
            let (rule, trigger) = (candidate.rule, candidate.trigger);
            // Two triggers of one rule may match one event; it still starts once.
            if started.contains(&rule.id) {
                continue;
            }
            let decided = if over_chain {
                let reason =
                    format!("the chain of consequences has more than {CHAIN_EVENTS_MAX} events");
                Err(refuse(Verdict::LoopGuard, reason))
            } else {
                self.decide_one(desk, &rule, trigger, event, &workspace, candidate.judged)
                    .await?
            };
            match decided {
                Ok(handed) => {
                    started.push(rule.id);
                    jobs.extend(handed);
                }
                Err(refusal) => {
                    self.counters.refused.fetch_add(1, Ordering::Relaxed);
                    if let Some(told) = &self.config.refusals {
                        told.note(event, &rule, refusal.verdict, refusal.reason.clone());
                        // Whoever waits for this start looks up why there is none.
                        if is_awaited(event) {
                            desk.note(event, &rule, trigger, refusal);
                        }
                    } else if self.config.keeps_refusals {
                        desk.note(event, &rule, trigger, refusal);
                    }
                }
            }
        }
        Ok(jobs)
    }

    async fn decide_one(
        &self,
        desk: &mut Desk<'_>,
        rule: &Arc<CompiledRule>,
        trigger: usize,
        event: &Arc<Event>,
        seen: &SeenWorkspace,
        judged: Option<Judged>,
    ) -> Result<Result<Option<Handed>, Refusal>, StoreError> {
        let workspace = &*seen.facts;
        let now = desk.now;
        let mut values = FactValues::default();
        let (decision, keys) = if let Some(judged) = judged {
            judged
        } else {
            for request in facts_asked(rule, trigger, event, workspace, now) {
                let value = facts::fetch(
                    desk.settled(self).await?,
                    event.workspace,
                    rule.id,
                    &request.fact,
                    &request.params,
                    now,
                )
                .await?;
                values.insert(request.key, value);
            }
            judge(rule, trigger, event, workspace, now, &values)
        };
        if decision.verdict != Verdict::Started {
            let refusal = Refusal {
                trace: decision.trace.map(Box::new),
                ..refuse(decision.verdict, decision.reason)
            };
            return Ok(Err(refusal.having(looked_at(rule, workspace, values))));
        }
        let refusal = match keys {
            Ok(keys) => match self.gates(desk, rule, event, &keys).await? {
                Some(refusal) => refusal,
                None => {
                    let trace = decision.trace.unwrap_or_else(ConditionTrace::unconditional);
                    let start = Start {
                        rule,
                        workspace: seen,
                        trigger,
                        event,
                        trace,
                        key: keys.mode,
                    };
                    match self.start(desk, start).await? {
                        Ok(handed) => return Ok(Ok(handed)),
                        Err(refusal) => refusal,
                    }
                }
            },
            Err(reason) => refuse(Verdict::ConditionFailed, reason),
        };
        Ok(Err(refusal.having(looked_at(rule, workspace, values))))
    }
}

/// What a condition looked at beside the event; none where that is nothing.
fn looked_at(
    rule: &CompiledRule,
    workspace: &WorkspaceFacts,
    values: FactValues,
) -> Option<Recorded> {
    let condition = rule.condition()?;
    if condition.is_about_event_only() {
        return None;
    }
    Some(Recorded {
        zone: Some(workspace.time_zone.name().to_owned()),
        workspace: Some(workspace.name.clone()),
        facts: values.into_iter().collect(),
        ..Recorded::default()
    })
}

/// Values of a rule's keys for one event.
pub(crate) struct Keys {
    pub(crate) mode: String,
    pub(crate) throttle: String,
    pub(crate) debounce: String,
    pub(crate) dedupe: String,
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
pub(crate) fn judge(
    rule: &CompiledRule,
    trigger: usize,
    event: &Event,
    workspace: &WorkspaceFacts,
    now: Timestamp,
    values: &FactValues,
) -> (Decision, Result<Keys, String>) {
    let input = DecisionInput::new(event, workspace, now, values);
    let decision = decide::settle(rule, trigger, &input);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use crate::testing::World;

    #[tokio::test]
    async fn an_event_that_comes_before_the_server_works_starts_what_it_starts() {
        let mut world = World::new().await;
        world
            .rule("{version: 1, name: R, triggers: [{id: t, kind: test.happened}], steps: [{id: e, action: test.echo}]}")
            .await;
        world.crash_and_open().await;
        world.event("test.happened", json!({})).await;
        assert_eq!(world.runs().await.len(), 1);
    }
}
