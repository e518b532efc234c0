//! What a decision may look at: one event, its workspace, the moment, facts.
//!
//! Owns the names under which conditions and scripts see them. Must not fetch
//! anything. Invariant: the same input gives the same decision, whenever and
//! wherever it is taken.

use std::{cell::OnceCell, collections::HashMap};

use chrono_tz::Tz;
use serde_json::{Map, Value, json};
use so_model::{Timestamp, event::Event, id::WorkspaceId};

use crate::script::{EvalContext, PreparedContext};

/// Facts by [`FactRequest::key`], fetched before the decision.
pub type FactValues = HashMap<String, Value>;

/// A fact that a decision needs.
#[derive(Debug, Clone, PartialEq)]
pub struct FactRequest {
    /// Name of the fact.
    pub fact: String,
    /// Its parameters, templates rendered.
    pub params: Value,
    /// Under which the value is handed in.
    pub key: String,
}

impl FactRequest {
    pub(super) fn new(fact: &str, params: Value) -> Self {
        Self {
            key: format!("{fact}:{params}"),
            fact: fact.to_owned(),
            params,
        }
    }
}

/// What rules see of their workspace.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkspaceFacts {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name.
    pub name: String,
    /// The zone of its civil time.
    pub time_zone: Tz,
}

/// What rules see of the trigger that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TriggerFacts<'a> {
    /// Id in the document.
    pub id: &'a str,
    /// Trigger kind.
    pub kind: &'a str,
}

/// What steps see of their run.
#[derive(Debug, Clone, Copy)]
pub struct RunFacts<'a> {
    /// Variables set so far.
    pub vars: &'a Value,
    /// Step id to `{ "output": … }`.
    pub steps: &'a Value,
    /// The element of the loop around the step.
    pub item: Option<&'a Value>,
    /// The run: `{ "id": … }`.
    pub run: &'a Value,
    /// Source of the run's randomness.
    pub seed: u64,
}

/// Everything known about one event, shared by all rules it may start.
pub struct DecisionInput<'a> {
    /// The event.
    pub event: &'a Event,
    /// Its workspace.
    pub workspace: &'a WorkspaceFacts,
    /// The moment of the decision.
    pub now: Timestamp,
    /// Facts fetched beforehand.
    pub facts: &'a FactValues,
    shared: OnceCell<PreparedContext>,
}

impl<'a> DecisionInput<'a> {
    /// Gathers the input of the decisions about one event.
    pub fn new(
        event: &'a Event,
        workspace: &'a WorkspaceFacts,
        now: Timestamp,
        facts: &'a FactValues,
    ) -> Self {
        Self {
            event,
            workspace,
            now,
            facts,
            shared: OnceCell::new(),
        }
    }
}

/// What one rule sees: the event as one of its triggers matched it, and the
/// run if there is one already.
pub struct Facts<'a> {
    pub(super) input: &'a DecisionInput<'a>,
    pub(super) trigger: TriggerFacts<'a>,
    pub(super) run: Option<RunFacts<'a>>,
    own: OnceCell<PreparedContext>,
}

impl<'a> Facts<'a> {
    /// What a rule sees when it is decided.
    pub fn new(input: &'a DecisionInput<'a>, trigger: TriggerFacts<'a>) -> Self {
        Self {
            input,
            trigger,
            run: None,
            own: OnceCell::new(),
        }
    }

    /// What a step sees.
    pub fn in_run(
        input: &'a DecisionInput<'a>,
        trigger: TriggerFacts<'a>,
        run: RunFacts<'a>,
    ) -> Self {
        Self {
            run: Some(run),
            ..Self::new(input, trigger)
        }
    }

    /// The variables of scripts and templates, converted once.
    pub fn context(&self) -> &PreparedContext {
        self.own
            .get_or_init(|| PreparedContext::new(&self.eval_context(true)))
    }

    /// Rules that do not look at their trigger share one conversion of the event.
    pub(super) fn context_for(&self, uses_trigger: bool) -> &PreparedContext {
        if uses_trigger || self.run.is_some() {
            return self.context();
        }
        let shared = &self.input.shared;
        shared.get_or_init(|| PreparedContext::new(&self.eval_context(false)))
    }

    fn eval_context(&self, with_trigger: bool) -> EvalContext {
        let (event, workspace) = (self.input.event, self.input.workspace);
        let mut vars = Map::new();
        vars.insert(
            "event".into(),
            json!({
                "id": event.id, "kind": event.kind, "source": event.source,
                "subject": event.subject, "time": event.time, "data": event.data,
            }),
        );
        vars.insert(
            "workspace".into(),
            json!({
                "id": workspace.id, "name": workspace.name,
                "time_zone": workspace.time_zone.name(),
            }),
        );
        if with_trigger {
            let trigger = json!({ "id": self.trigger.id, "kind": self.trigger.kind });
            vars.insert("trigger".into(), trigger);
        }
        let mut seed = seed_of(event);
        if let Some(run) = &self.run {
            vars.insert("vars".into(), run.vars.clone());
            vars.insert("steps".into(), run.steps.clone());
            vars.insert("run".into(), run.run.clone());
            if let Some(item) = run.item {
                vars.insert("item".into(), item.clone());
            }
            seed = run.seed;
        }
        EvalContext {
            now_micros: self.input.now.micros(),
            seed,
            vars,
        }
    }
}

/// The event's id holds 74 random bits; the low 64 are as good a seed as any.
fn seed_of(event: &Event) -> u64 {
    event.id.uuid().as_u64_pair().1
}
