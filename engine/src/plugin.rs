//! What triggers and actions are to the engine.
//!
//! Owns the traits that plugins implement and the registry they are listed in.
//! Invariant: a local action touches only the given transaction, so that its
//! effect and its memo are one; a remote action runs outside of any.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use serde_json::{Map, Value};
use so_model::{
    effect::EffectKind,
    event::{Event, NewEvent},
    id::{RunId, WorkspaceId},
    problem::FieldError,
    run::Run,
    time::Timestamp,
};
use so_store::{Store, StoreError, Tx};

use crate::{
    clock::Ids,
    rule::catalogue::{ActionSpec, Catalogue, FactSpec, TriggerSpec},
    schedule::Schedule,
    script::ScriptEngine,
};

/// A kind of trigger.
pub trait TriggerKind: Send + Sync {
    /// Name, schema, sample, and what tells its events apart.
    fn spec(&self) -> TriggerSpec;
    /// The schedule, if time is what starts it. `zone` is the workspace's.
    fn schedule(
        &self,
        with: &Map<String, Value>,
        zone: &str,
    ) -> Result<Option<Schedule>, FieldError> {
        let _ = (with, zone);
        Ok(None)
    }
}

/// A step that could not be done.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("{message}")]
pub struct ActionError {
    /// Stable code: `post.not_found`.
    pub code: String,
    /// What went wrong, for people.
    pub message: String,
    /// What to do about it.
    pub next_step: String,
    /// Whether trying again can help.
    pub retry: RetryAdvice,
}

/// Whether trying again can help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAdvice {
    /// It cannot.
    Never,
    /// It may; the step's policy says when.
    Later,
    /// It may, but not before so many microseconds.
    NotBefore(i64),
}

impl ActionError {
    /// An error that trying again cannot mend.
    pub fn fail(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            message: message.into(),
            next_step: String::new(),
            retry: RetryAdvice::Never,
        }
    }
    /// An error that may pass.
    pub fn later(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            retry: RetryAdvice::Later,
            ..Self::fail(code, message)
        }
    }
    /// Says what to do.
    pub fn next_step(mut self, next_step: impl Into<String>) -> Self {
        self.next_step = next_step.into();
        self
    }
    /// Not before so many microseconds.
    pub fn not_before(mut self, micros: i64) -> Self {
        self.retry = RetryAdvice::NotBefore(micros);
        self
    }
}

/// How a local step goes wrong: by its own fault, or by the database's.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The step's own.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// The database's: the whole transaction is given up and tried again.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// How a local step ends.
#[derive(Debug, Clone, PartialEq)]
pub enum LocalEnd {
    /// Done, with its output.
    Done(Value),
    /// Goes on when somebody wakes the run; `output` is kept until then.
    Wait {
        /// Shown in the run.
        reason: String,
        /// Given to `resume`.
        output: Value,
    },
}

/// What a step would do, told by its action.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Described {
    /// Its effects.
    pub effects: Vec<EffectKind>,
    /// What later steps see; none where the end's own output will do.
    pub output: Option<Value>,
}

/// What a local step works with.
pub struct LocalContext<'a> {
    /// The transaction that also holds the step's memo.
    pub tx: &'a mut Tx,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: &'a Run,
    /// What started it.
    pub event: &'a Event,
    /// Pointer of the step in the document.
    pub path: &'a str,
    /// The moment of the step.
    pub now: Timestamp,
    /// Makes new ids.
    pub ids: &'a Ids,
    /// The sandbox, with the library that this version of the rule calls.
    pub scripts: &'a ScriptEngine,
    /// Events that the step causes; stored with it.
    pub events: Vec<NewEvent>,
}

impl LocalContext<'_> {
    /// An event that follows from this step.
    pub fn emit(&mut self, kind: &str, subject: impl ToString, data: Value) {
        self.events
            .push(NewEvent::new(self.workspace, kind, data).about(subject));
    }
}

/// An action on our own database.
#[async_trait]
pub trait LocalAction: Send + Sync {
    /// Name, schema, sample.
    fn spec(&self) -> ActionSpec;
    /// Does it.
    async fn perform(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
    ) -> Result<LocalEnd, LocalError>;
    /// Writes nothing before it is sure to succeed, so that a failure leaves nothing to undo.
    fn writes_last(&self) -> bool {
        false
    }
    /// Goes on after a wait.
    async fn resume(
        &self,
        cx: &mut LocalContext<'_>,
        params: Value,
        waited: Value,
    ) -> Result<LocalEnd, LocalError> {
        let _ = (cx, params);
        Ok(LocalEnd::Done(waited))
    }
    /// Tells what it has just done, within a transaction that will be given up; where it waits, it assumes how that ends.
    async fn describe(
        &self,
        cx: &mut LocalContext<'_>,
        params: &Value,
        end: &LocalEnd,
    ) -> Result<Described, LocalError> {
        let _ = (cx, params);
        let (LocalEnd::Done(output) | LocalEnd::Wait { output, .. }) = end;
        Ok(acted(self.spec(), output))
    }
}

fn acted(spec: ActionSpec, output: &Value) -> Described {
    Described {
        effects: vec![EffectKind::Acted {
            action: spec.kind,
            is_remote: spec.is_remote,
            output: crate::run::shorten(output.clone()),
        }],
        output: Some(output.clone()),
    }
}

/// Whether a call may be made again when its outcome is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// It may: the receiver drops repeats by the key, or the call changes nothing.
    Allowed,
    /// It may not: doubt ends the step with an error that says so.
    Never,
}

/// What a remote step works with.
pub struct RemoteContext<'a> {
    /// For reads.
    pub store: Store,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run.
    pub run: &'a Run,
    /// What started it.
    pub event: &'a Event,
    /// The same for every try of this step.
    pub key: String,
    /// From 1.
    pub attempt: i64,
    /// The moment of the step.
    pub now: Timestamp,
}

/// What a call is described with: the database as it is, and nothing that could call.
pub struct DescribeContext<'a> {
    /// For reads; given up afterwards.
    pub tx: &'a mut Tx,
    /// The tenant.
    pub workspace: WorkspaceId,
    /// The run, which is of this dry run alone.
    pub run: &'a Run,
    /// What would start it.
    pub event: &'a Event,
    /// The moment of the step.
    pub now: Timestamp,
}

/// Tells what a call to the outside would be.
///
/// Apart from the action, so that it has no client, no keys and no way out.
#[async_trait]
pub trait Describer: Send + Sync {
    /// Tells it; a mistake that is known before the call is the step's error.
    async fn describe(
        &self,
        cx: &mut DescribeContext<'_>,
        params: Value,
    ) -> Result<Described, LocalError>;
}

/// Tells no more than which call it is, and assumes the sample's output.
struct SampleOnly(ActionSpec);

#[async_trait]
impl Describer for SampleOnly {
    async fn describe(
        &self,
        _: &mut DescribeContext<'_>,
        _: Value,
    ) -> Result<Described, LocalError> {
        Ok(acted(self.0.clone(), &self.0.sample_output))
    }
}

/// How a remote step ends.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemoteEnd {
    /// Output for later steps.
    pub output: Value,
    /// Events that follow; stored with the memo.
    pub events: Vec<NewEvent>,
}

/// An action on the outside world.
#[async_trait]
pub trait RemoteAction: Send + Sync {
    /// Name, schema, sample.
    fn spec(&self) -> ActionSpec;
    /// Whether a call whose outcome is unknown may be made again.
    fn repeat(&self, params: &Value) -> Repeat;
    /// Names the other side, so that one which never answers does not hold every worker; none if there are many.
    fn lane(&self, _params: &Value) -> Option<String> {
        None
    }
    /// Tells what it would do.
    fn describer(&self) -> Arc<dyn Describer> {
        Arc::new(SampleOnly(self.spec()))
    }
    /// Does it.
    async fn perform(
        &self,
        cx: &RemoteContext<'_>,
        params: Value,
    ) -> Result<RemoteEnd, ActionError>;
}

/// An action of either kind.
#[derive(Clone)]
pub enum Action {
    /// On our own database.
    Local(Arc<dyn LocalAction>),
    /// On the outside world.
    Remote(Arc<dyn RemoteAction>),
}

impl Action {
    /// A local action.
    pub fn local(action: impl LocalAction + 'static) -> Self {
        Self::Local(Arc::new(action))
    }
    /// A remote action.
    pub fn remote(action: impl RemoteAction + 'static) -> Self {
        Self::Remote(Arc::new(action))
    }
    /// Name, schema, sample.
    pub fn spec(&self) -> ActionSpec {
        match self {
            Self::Local(action) => action.spec(),
            Self::Remote(action) => action.spec(),
        }
    }
}

/// Everything a server offers to rules.
#[derive(Clone, Default)]
pub struct Plugins {
    triggers: BTreeMap<String, Arc<dyn TriggerKind>>,
    actions: BTreeMap<String, Action>,
    catalogue: Arc<Catalogue>,
}

impl Plugins {
    /// From the explicit lists of the crates `triggers` and `actions`.
    pub fn new(
        triggers: Vec<Arc<dyn TriggerKind>>,
        actions: Vec<Action>,
        facts: Vec<FactSpec>,
    ) -> Self {
        let mut catalogue = Catalogue::default();
        let mut trigger_map = BTreeMap::new();
        for trigger in triggers {
            let spec = trigger.spec();
            trigger_map.insert(spec.kind.clone(), trigger);
            catalogue = catalogue.trigger(spec);
        }
        let mut action_map = BTreeMap::new();
        for action in actions {
            let spec = action.spec();
            action_map.insert(spec.kind.clone(), action);
            catalogue = catalogue.action(spec);
        }
        for fact in facts {
            catalogue = catalogue.fact(fact);
        }
        Self {
            triggers: trigger_map,
            actions: action_map,
            catalogue: Arc::new(catalogue),
        }
    }
    /// Descriptions of everything.
    pub fn catalogue(&self) -> &Arc<Catalogue> {
        &self.catalogue
    }
    /// The trigger of a kind.
    pub fn trigger(&self, kind: &str) -> Option<&Arc<dyn TriggerKind>> {
        self.triggers.get(kind)
    }
    /// The action of a kind.
    pub fn action(&self, kind: &str) -> Option<&Action> {
        self.actions.get(kind)
    }
}

/// Something changed that people may be looking at.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct LiveUpdate {
    /// The tenant.
    pub workspace: WorkspaceId,
    /// `run`, `post`, `event`, `account`, `notification`.
    pub what: &'static str,
    /// Which.
    pub id: String,
}

/// The run that a step's key is made of.
pub fn step_key(run: RunId, path: &str) -> String {
    format!("{run}{path}")
}
