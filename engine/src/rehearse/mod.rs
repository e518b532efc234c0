//! Dry runs: what a rule would do about an event, without doing it.
//!
//! Owns the transaction that is given up. Must not call anybody: remote actions are asked for a describer, which has no
//! way out. Invariant: nothing that a dry run writes is ever committed, and nobody hears of it.

mod gates;
#[cfg(test)]
mod tests;
mod walk;

use std::sync::Arc;

use so_model::{
    IdSource as _, Timestamp,
    effect::{Effect, RehearsalEnd},
    event::Event,
    run::{ConditionTrace, Run, RunState},
    why::Clause,
};
use so_store::{StoreError, Tx};

use crate::{
    decide::{CompiledRule, DecisionInput, FactValues, WorkspaceFacts, facts_needed},
    engine::Engine,
    facts,
    why::triggers_clause,
};

/// Steps of one dry run; a rule has at most a hundred, but loops repeat them.
const STEPS_MAX: usize = 1_000;

/// What is rehearsed.
#[derive(Debug, Clone)]
pub struct Rehearse {
    /// The rule, saved or not.
    pub rule: Arc<CompiledRule>,
    /// The event, stored or made up.
    pub event: Arc<Event>,
    /// The moment it comes.
    pub now: Timestamp,
    /// Goes through the steps even if the rule would not start.
    pub anyway: bool,
}

/// What came out of a dry run.
#[derive(Debug, Clone, PartialEq)]
pub struct Rehearsal {
    /// Id of the trigger that listens, if one does.
    pub trigger: Option<String>,
    /// Whether the rule would start.
    pub would_start: bool,
    /// Every clause; the first that failed is marked.
    pub clauses: Vec<Clause>,
    /// How it ends.
    pub end: RehearsalEnd,
    /// Why it ends so.
    pub reason: Option<String>,
    /// What it would do, in order.
    pub effects: Vec<Effect>,
}

impl Engine {
    /// Rehearses a rule on an event.
    pub async fn rehearse(&self, asked: &Rehearse) -> Result<Rehearsal, StoreError> {
        let workspace = self.workspace(asked.event.workspace).await?;
        // Never committed: it is given up when it goes out of scope.
        let mut tx = self.store.begin().await?;
        self.rehearse_in(&mut tx, asked, &workspace).await
    }

    async fn rehearse_in(
        &self,
        tx: &mut Tx,
        asked: &Rehearse,
        workspace: &WorkspaceFacts,
    ) -> Result<Rehearsal, StoreError> {
        let (rule, event, now) = (&asked.rule, &asked.event, asked.now);
        let listening = rule
            .triggers
            .iter()
            .position(|trigger| trigger.matches(event).is_ok());
        let trigger = listening.unwrap_or(0);
        let mut clauses = vec![triggers_clause(rule, event)];
        let none = FactValues::default();
        let asked_for = facts_needed(
            rule,
            trigger,
            &DecisionInput::new(event, workspace, now, &none),
        );
        let mut values = FactValues::default();
        for request in asked_for {
            let (fact, of) = (&request.fact, &request.params);
            let value = facts::fetch(tx, event.workspace, rule.id, fact, of, now).await?;
            values.insert(request.key, value);
        }
        {
            let input = DecisionInput::new(event, workspace, now, &values);
            let seen = input.facts_for(rule, trigger);
            clauses.extend(rule.condition().map(|condition| condition.weigh(&seen)));
        }
        let keys = gates::keys(rule, trigger, event, workspace, now);
        clauses
            .extend(gates::after_condition(tx, rule, event, keys, now, workspace.time_zone).await?);
        let would_start = only_first(&mut clauses);
        let mut rehearsal = Rehearsal {
            trigger: listening.map(|at| rule.triggers[at].id.clone()),
            would_start,
            clauses,
            end: RehearsalEnd::NotStarted,
            reason: None,
            effects: Vec::new(),
        };
        if !would_start {
            let first = rehearsal.clauses.iter().find_map(Clause::first);
            rehearsal.reason = first.map(|clause| clause.text.clone());
            if !asked.anyway {
                return Ok(rehearsal);
            }
        }
        let run = self.run_of(asked, trigger);
        let mut walk = walk::Walk::new(self, asked, workspace, run, STEPS_MAX);
        let (end, reason) = walk.whole(tx).await?;
        rehearsal.end = end;
        rehearsal.reason = reason.or(rehearsal.reason);
        rehearsal.effects = walk.effects;
        Ok(rehearsal)
    }

    fn run_of(&self, asked: &Rehearse, trigger: usize) -> Run {
        Run {
            id: self.ids.new_id(),
            workspace: asked.event.workspace,
            rule: asked.rule.id,
            version: asked.rule.version,
            event: asked.event.id,
            trigger: asked.rule.trigger_facts(trigger).id.to_owned(),
            state: RunState::Running,
            key: String::new(),
            decision: ConditionTrace::unconditional(),
            reason: None,
            created_at: asked.now,
            finished_at: None,
        }
    }
}

/// Leaves the mark on the first clause that failed; answers whether none did.
fn only_first(clauses: &mut [Clause]) -> bool {
    let mut found = false;
    for clause in clauses {
        if found {
            unmark(clause);
        } else if clause.held == Some(false) {
            found = true;
            if clause.first().is_none() {
                clause.is_first = true;
            }
        }
    }
    !found
}

fn unmark(clause: &mut Clause) {
    clause.is_first = false;
    clause.parts.iter_mut().for_each(unmark);
}
