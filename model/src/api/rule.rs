//! Rules: documents, versions, the button and "why not".
//!
//! Owns the shapes of `/rules` and `/catalogue`. Invariant: an error's pointer names a place in the rule
//! document, whether that came as JSON or as text, so that form and text editor show the same errors.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::version::VersionState;
use crate::{
    case::Coverage,
    id::{EventId, RuleId, RunId, UserId},
    problem::FieldError,
    rule::RuleDocument,
    run::{Decision, RunState},
    time::Timestamp,
};

/// How a rule's text is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleFormat {
    /// JSON.
    Json,
    /// YAML 1.2.
    Yaml,
}

/// A rule as its author typed it; comments are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleText {
    /// How it is written.
    pub format: RuleFormat,
    /// The text, at most 256 KiB.
    pub text: String,
}

/// A rule as a document or as a text: exactly one of the two.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleInput {
    /// The document as `/api/v1/rule-schema.json` describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The document as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// The rule that this is to be a new version of, so that a check does not hold it against its former self.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
}

/// Makes a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateRule {
    /// The document as `/api/v1/rule-schema.json` describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The document as text; it may hold its cases under the key `cases`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// Cases beside the rule, as YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// Why an owner publishes it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// Makes a new version of a rule.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutRule {
    /// The document as `/api/v1/rule-schema.json` describes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The document as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// The version that was edited; refused when there is a newer one.
    pub expected_version: i64,
    /// Cases beside the rule, as YAML; those of the version before stay without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// Why; kept with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner publishes it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// Switches a rule on or off; makes no version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SwitchRule {
    /// Whether it may start runs.
    pub enabled: bool,
    /// Why an owner switches it on although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// The latest run of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// The run.
    pub id: RunId,
    /// Where it is.
    pub state: RunState,
    /// When it was made.
    pub created_at: Timestamp,
}

/// A rule without its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleView {
    /// Own id.
    pub id: RuleId,
    /// Name.
    pub name: String,
    /// Whether it may start runs.
    pub is_enabled: bool,
    /// The live version.
    pub version: i64,
    /// Name of the starter rule it was installed from; none if a person made it.
    pub starter: Option<String>,
    /// Why the engine paused it, or why it cannot run.
    pub problem: Option<String>,
    /// Its latest run.
    pub last_run: Option<LastRun>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// Rules of a workspace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleList {
    /// The oldest first.
    pub items: Vec<RuleView>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Which rules to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// A rule with its live document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDetail {
    /// The rule.
    #[serde(flatten)]
    pub rule: RuleView,
    /// The live document; `enabled` says what holds now.
    pub document: RuleDocument,
    /// The document as YAML; the author's own text where it was written so.
    pub yaml: String,
    /// The cases beside it, as YAML; those within the text are not repeated.
    #[serde(default)]
    pub cases: String,
    /// What is allowed but probably not meant.
    pub warnings: Vec<FieldError>,
}

/// What a check of a document found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleCheck {
    /// It could be saved.
    pub is_valid: bool,
    /// Everything that keeps it from being saved.
    pub errors: Vec<FieldError>,
    /// What is allowed but probably not meant.
    pub warnings: Vec<FieldError>,
    /// What is good to know, and as it should be.
    #[serde(default)]
    pub notes: Vec<FieldError>,
    /// The document, if it is valid.
    pub document: Option<RuleDocument>,
    /// The document as YAML, if it is valid.
    pub yaml: Option<String>,
}

/// A version without its document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleVersionView {
    /// From 1.
    pub version: i64,
    /// Name of the rule in this version.
    pub name: String,
    /// What it is to the rule.
    pub state: VersionState,
    /// Who saved it; none if the product did.
    pub author: Option<UserId>,
    /// Why; empty if nobody said.
    #[serde(default)]
    pub reason: String,
    /// When.
    pub created_at: Timestamp,
    /// Why it was published although cases failed.
    #[serde(default)]
    pub override_reason: Option<String>,
}

/// Versions of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleVersionList {
    /// The newest first; the latest 200.
    pub items: Vec<RuleVersionView>,
}

/// One version with its document.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleVersionDetail {
    /// The version.
    #[serde(flatten)]
    pub version: RuleVersionView,
    /// Its document.
    pub document: RuleDocument,
    /// Its document as YAML; the author's own text where it was written so.
    pub yaml: String,
}

/// Makes an old version the newest one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRule {
    /// The live version as it was seen; refused when there is a newer one.
    pub expected_version: i64,
    /// Why; kept with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner publishes it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// Tries the cases of a rule, of a version of it or of a draft.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRule {
    /// A version; the live one without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Tries the stored draft, with the cases beside it.
    #[serde(default)]
    pub draft: bool,
    /// A draft as text; its own cases are tried as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// Cases to try instead of the stored ones, as YAML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
}

/// What of a rule was gone through.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RuleCoverage {
    /// The live version, to which all counts belong.
    pub version: i64,
    /// By its cases.
    pub cases: Coverage,
    /// By its latest runs and decisions.
    pub production: Coverage,
    /// Runs that were looked at.
    pub runs: u64,
    /// Decisions against a start that were looked at; of each the clause that failed first is known.
    pub decisions: u64,
}

/// A case made from a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCase {
    /// As it goes into the cases of the rule.
    pub yaml: String,
}

/// A blueprint that comes with the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlueprintView {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: u32,
    /// For people.
    pub title: String,
    /// For people.
    pub description: String,
    /// What it asks, by name: type, title, default, choices.
    pub inputs: Value,
}

/// The blueprints that come with the product.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BlueprintList {
    /// By name.
    pub items: Vec<BlueprintView>,
}

/// Fills in a blueprint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FillBlueprint {
    /// Its name.
    pub blueprint: String,
    /// What it asks.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// A rule that was made from an earlier version: its inputs are taken, and the difference is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
}

/// A blueprint, filled in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FilledBlueprint {
    /// The rule's text, as it can be saved.
    pub yaml: String,
    /// What would change in the rule: lines that begin with a space, `-` or `+`.
    pub diff: Vec<String>,
}

/// Presses a rule's button.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PressRule {
    /// What the rule reads as `event.data.input`.
    #[serde(default)]
    pub input: Map<String, Value>,
}

/// What pressing a button led to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Pressed {
    /// The event.
    pub event: EventId,
    /// Runs that were started.
    pub runs: Vec<RunId>,
    /// Why nothing was started, if so.
    pub decisions: Vec<DecisionView>,
}

/// Why a rule did not start on an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionView {
    /// The event.
    pub event: EventId,
    /// The event's kind; none if the event is gone.
    pub event_kind: Option<String>,
    /// Name of the rule; none if it was deleted.
    pub rule_name: Option<String>,
    /// When it was decided.
    pub at: Timestamp,
    /// Verdict, reason and trace.
    #[serde(flatten)]
    pub decision: Decision,
}

/// The latest events on which a rule did not start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DecisionList {
    /// The newest first.
    pub items: Vec<DecisionView>,
}

/// How many decisions to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DecisionQuery {
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// A trigger or action that rules may name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindView {
    /// Name in documents: `feed.item`, `post.create`.
    pub kind: String,
    /// Name for people.
    pub title: String,
    /// One or two sentences for people.
    pub description: String,
    /// JSON Schema of `with`.
    pub params_schema: Value,
    /// A trigger's sample `event.data`, or an action's sample `steps.<id>.output`.
    pub sample: Value,
    /// Event kinds a trigger starts on (`*` is all), or an action may cause.
    pub event_kinds: Vec<String>,
    /// An action that calls something outside.
    #[serde(default)]
    pub is_remote: bool,
}

/// A fact of the workspace's history that conditions may ask for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FactView {
    /// Name in documents: `queue_length`.
    pub name: String,
    /// Name for people.
    pub title: String,
    /// JSON Schema of `of`.
    pub params_schema: Value,
    /// `number`, `boolean` or `text`.
    pub value_type: String,
}

/// A function that scripts may call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionView {
    /// Name.
    pub name: String,
}

/// Everything that rules may name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CatalogueView {
    /// Trigger kinds.
    pub triggers: Vec<KindView>,
    /// Action kinds.
    pub actions: Vec<KindView>,
    /// Facts.
    pub facts: Vec<FactView>,
    /// Functions of scripts beside the language's own.
    pub functions: Vec<FunctionView>,
}
