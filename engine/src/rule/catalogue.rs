//! What triggers, actions and facts a server offers, as data.
//!
//! Owns the descriptions that plugins hand in and the checks of `with` read.
//! Must not know how a plugin behaves. Invariant: everything here is known
//! before the first rule is read, so a rule can be judged without running one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

/// Event kind of a trigger that listens to every kind.
pub const ANY_EVENT_KIND: &str = "*";

/// Every kind a rule may name.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Catalogue {
    /// Trigger kinds by name.
    pub triggers: BTreeMap<String, TriggerSpec>,
    /// Action kinds by name.
    pub actions: BTreeMap<String, ActionSpec>,
    /// Facts by name.
    pub facts: BTreeMap<String, FactSpec>,
}

impl Catalogue {
    /// Adds a trigger kind; a kind of the same name is replaced.
    pub fn trigger(mut self, spec: TriggerSpec) -> Self {
        self.triggers.insert(spec.kind.clone(), spec);
        self
    }
    /// Adds an action kind.
    pub fn action(mut self, spec: ActionSpec) -> Self {
        self.actions.insert(spec.kind.clone(), spec);
        self
    }
    /// Adds a fact.
    pub fn fact(mut self, spec: FactSpec) -> Self {
        self.facts.insert(spec.name.clone(), spec);
        self
    }
}

/// A trigger kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TriggerSpec {
    /// Name in documents: `feed.item`.
    pub kind: String,
    /// Name for people.
    pub title: String,
    /// One or two sentences for people.
    pub description: String,
    /// Kinds of the events it starts on; [`ANY_EVENT_KIND`] is all.
    pub event_kinds: Vec<String>,
    /// JSON Schema of `with`.
    pub params_schema: Value,
    /// An event's `data` as it looks with every field present.
    pub sample_data: Value,
    /// The data may have fields that the sample lacks, as a webhook's does.
    pub open_data: bool,
    /// What in `with` picks among the events, most telling first; the first
    /// two are indexed.
    pub discriminators: Vec<Discriminator>,
}

/// A value of the trigger that an event must carry.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Discriminator {
    /// Where the trigger's value comes from.
    pub from: DiscriminatorSource,
    /// Dotted path in the event without the leading `event.`: `data.feed`.
    pub event_path: String,
    /// How they are compared.
    pub op: DiscriminatorOp,
}

impl Discriminator {
    /// A value of `with` (as JSON pointer) that an event's field must equal.
    pub fn param(pointer: impl Into<String>, event_path: impl Into<String>) -> Self {
        Self::new(DiscriminatorSource::Param(pointer.into()), event_path)
    }
    /// The rule's own id.
    pub fn rule(event_path: impl Into<String>) -> Self {
        Self::new(DiscriminatorSource::Rule, event_path)
    }
    /// The trigger's id within the rule.
    pub fn trigger(event_path: impl Into<String>) -> Self {
        Self::new(DiscriminatorSource::Trigger, event_path)
    }
    fn new(from: DiscriminatorSource, event_path: impl Into<String>) -> Self {
        Self {
            from,
            event_path: event_path.into(),
            op: DiscriminatorOp::Eq,
        }
    }
}

/// Where a discriminating value comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscriminatorSource {
    /// A JSON pointer into the trigger's `with`.
    Param(String),
    /// The id of the rule, for events meant for one rule.
    Rule,
    /// The id of the trigger in the document.
    Trigger,
}

/// How a discriminating value is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiscriminatorOp {
    /// Equal; a list on either side matches by any of its elements.
    Eq,
}

/// An action kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionSpec {
    /// Name in documents: `post.create`.
    pub kind: String,
    /// Name for people.
    pub title: String,
    /// One or two sentences for people.
    pub description: String,
    /// JSON Schema of `with`.
    pub params_schema: Value,
    /// Calls something outside, so that its outcome may be unknown.
    pub is_remote: bool,
    /// What later steps see under `steps.<id>.output`.
    pub sample_output: Value,
    /// Kinds of the events it may cause.
    pub emits: Vec<String>,
}

/// A fact of the workspace's history.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactSpec {
    /// Name in documents: `queue_length`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// JSON Schema of `of`.
    pub params_schema: Value,
    /// Type of the fact's value.
    pub value_type: FactType,
}

/// Type of a fact's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FactType {
    /// A number.
    Number,
    /// True or false.
    Boolean,
    /// A text.
    Text,
}

/// A kind as a picker shows it: the common half of triggers and actions.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct KindSpec {
    /// Name in documents.
    pub kind: String,
    /// Name for people.
    pub title: String,
    /// One or two sentences for people.
    pub description: String,
    /// JSON Schema of `with`.
    pub params_schema: Value,
    /// A trigger's sample data, or an action's sample output.
    pub sample: Value,
    /// Event kinds a trigger listens to, or an action emits.
    pub event_kinds: Vec<String>,
}

impl From<&TriggerSpec> for KindSpec {
    fn from(spec: &TriggerSpec) -> Self {
        Self {
            kind: spec.kind.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            params_schema: spec.params_schema.clone(),
            sample: spec.sample_data.clone(),
            event_kinds: spec.event_kinds.clone(),
        }
    }
}

impl From<&ActionSpec> for KindSpec {
    fn from(spec: &ActionSpec) -> Self {
        Self {
            kind: spec.kind.clone(),
            title: spec.title.clone(),
            description: spec.description.clone(),
            params_schema: spec.params_schema.clone(),
            sample: spec.sample_output.clone(),
            event_kinds: spec.emits.clone(),
        }
    }
}
