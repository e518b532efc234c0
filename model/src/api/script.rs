//! The script library of a workspace: modules that its rules call as `lib::module::function(…)`.
//!
//! Owns the shapes of `/scripts`. Invariant: an error's pointer is `/source` for a place in the module itself, and
//! begins with `/rules/` or `/modules/` for what would break elsewhere: `/rules/0/…` for a rule that changes along with the
//! module, `/rules/rule_…/…` for one that stays as it is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::RuleText;
use crate::{
    id::{RuleId, UserId},
    problem::FieldError,
    time::Timestamp,
};

/// A function of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptFunction {
    /// Its name within the module.
    pub name: String,
    /// As a rule calls it: `lib::texts::clean(text, most)`.
    pub signature: String,
    /// Names of its parameters.
    pub takes: Vec<String>,
    /// The comment before it.
    pub says: String,
    /// Only functions of its module may call it.
    pub is_private: bool,
    /// Line of its definition, from 1.
    pub line: u32,
}

/// A module without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptModuleView {
    /// Its name.
    pub name: String,
    /// The live version.
    pub version: i64,
    /// Its functions in the order of the text.
    pub functions: Vec<ScriptFunction>,
    /// Names of its constants.
    pub constants: Vec<String>,
    /// Who saved the live version.
    pub author: Option<UserId>,
    /// Why; empty if nobody said.
    pub reason: String,
    /// When.
    pub saved_at: Timestamp,
    /// Rules that call it, directly or through other modules.
    pub rules: Vec<ScriptCaller>,
    /// Other modules that call it.
    pub modules: Vec<String>,
}

/// A rule that calls a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptCaller {
    /// The rule.
    pub id: RuleId,
    /// Its name.
    pub name: String,
    /// Whether it may start runs.
    pub is_enabled: bool,
}

/// The library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptModuleList {
    /// Its modules, by name.
    pub items: Vec<ScriptModuleView>,
    /// Grows with every change of any module.
    pub revision: i64,
}

/// A module with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptModuleDetail {
    /// The module.
    #[serde(flatten)]
    pub module: ScriptModuleView,
    /// The text as its author wrote it.
    pub source: String,
}

/// Rules that may change along with a module: each is checked and tried before there is an answer.
pub const RULES_ALONG_MAX: usize = 100;

/// Makes a module, or a new version of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutScriptModule {
    /// Functions and constants, at most 16 KiB.
    pub source: String,
    /// The version that was edited, 0 for a module that is not there; refused when there is a newer one.
    pub expected_version: i64,
    /// Why; kept with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner saves it although cases of rules fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// Rules that call it, before or after, and change in the same step; at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<ScriptRuleChange>,
}

/// A rule that changes along with a module: its document or text, its cases, or both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptRuleChange {
    /// The rule.
    pub rule: RuleId,
    /// The version that was edited; refused when there is a newer one.
    pub expected_version: i64,
    /// The document as `/api/v1/rule-schema.json` describes it; without it and `text` it stays as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The document as text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// Cases beside the rule, as YAML; those of the version before stay without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
}

/// Makes an old version of a module the newest one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreScriptModule {
    /// The live version, 0 for a module that was deleted; refused when there is a newer one.
    pub expected_version: i64,
    /// Why; kept with the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner restores it although cases of rules fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// Asks what is wrong with a text, and what it would break.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckScriptModule {
    /// Functions and constants, at most 16 KiB.
    pub source: String,
}

/// A case of a rule that would fail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptFailedCase {
    /// The rule.
    pub rule: ScriptCaller,
    /// Name of the case.
    pub case: String,
    /// What was expected and what came.
    pub problem: String,
}

/// What is wrong with a text, and what it would break.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptModuleCheck {
    /// It could be saved without an override.
    pub is_valid: bool,
    /// Mistakes in the text, in rules and in other modules.
    pub errors: Vec<FieldError>,
    /// Cases of rules that are on and would fail.
    pub failed_cases: Vec<ScriptFailedCase>,
    /// The functions it has.
    pub functions: Vec<ScriptFunction>,
    /// Names of its constants.
    pub constants: Vec<String>,
    /// Rules that were tried.
    pub rules: Vec<ScriptCaller>,
}

/// A version of a module without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptVersionView {
    /// From 1.
    pub version: i64,
    /// Whether rules call it now.
    pub is_live: bool,
    /// Who saved it.
    pub author: Option<UserId>,
    /// Why; empty if nobody said.
    pub reason: String,
    /// Why it was saved although cases of rules failed.
    pub override_reason: Option<String>,
    /// When.
    pub saved_at: Timestamp,
}

/// Versions of a module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptVersionList {
    /// The newest first.
    pub items: Vec<ScriptVersionView>,
}

/// A version of a module with its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ScriptVersionDetail {
    /// The version.
    #[serde(flatten)]
    pub version: ScriptVersionView,
    /// The text as its author wrote it.
    pub source: String,
}
