//! Versions of rules: drafts, reasons and differences.
//!
//! Owns the shapes of `/rules/{rule}/draft` and `/rules/{rule}/difference`. Invariant: a draft is told with what it
//! would change, so that nobody publishes what they did not see.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::{RuleCheck, RuleText};
use crate::{
    difference::RuleChange,
    id::{AccountId, RuleId, UserId},
    shadow::{ShadowCounts, ShadowDifference},
    time::Timestamp,
};

/// Keeps what is being written of a rule, beside the live version.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutDraft {
    /// The document as `/api/v1/rule-schema.json` describes it; exactly one of document and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The document as text; it is kept with its mistakes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
    /// Cases beside the rule, as YAML; without it those of the live version stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<String>,
    /// The version it was made from; that of the draft before, or the live one, without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base_version: Option<i64>,
    /// The generation of the draft that was edited, 0 if there was none; refused when there is a newer one.
    pub expected_generation: i64,
    /// Why; the one that was said before stays without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A draft of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDraftView {
    /// The rule.
    pub rule: RuleId,
    /// The text as it was written.
    pub text: RuleText,
    /// Cases beside it, as YAML; none leaves those of the live version.
    pub cases: Option<String>,
    /// The version it was made from.
    pub base_version: i64,
    /// The version that is live now.
    pub live_version: i64,
    /// Somebody published another version since; the draft cannot be published before it is saved on top of that.
    pub is_outdated: bool,
    /// What the live version changed since the draft was begun.
    pub missed: Vec<RuleChange>,
    /// What the draft would change in the live version; empty while it has mistakes.
    pub changes: Vec<RuleChange>,
    /// Mistakes, warnings and notes.
    pub check: RuleCheck,
    /// Who wrote it last.
    pub author: UserId,
    /// Why, as far as that was said.
    pub reason: String,
    /// Grows with each change; a new draft begins above every draft that was there before.
    pub generation: i64,
    /// When it was begun.
    pub created_at: Timestamp,
    /// When it was written last.
    pub updated_at: Timestamp,
}

/// Makes a draft the live version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PublishDraft {
    /// The generation of the draft as it was seen.
    pub expected_generation: i64,
    /// Why; that of the draft without it. One of the two must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner publishes it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}

/// Which two of a rule's versions are compared: a number, `live` or `draft`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DifferenceQuery {
    /// The earlier one; without it the one before `to`, or the live one if `to` is the draft.
    pub from: Option<String>,
    /// The later one; the live one without it.
    pub to: Option<String>,
}

/// How two versions of a rule differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleDifference {
    /// The earlier one: a number, or `draft`.
    pub from: String,
    /// The later one.
    pub to: String,
    /// In sentences, in the order of the document.
    pub changes: Vec<RuleChange>,
    /// The texts: lines that begin with a space, `-` or `+`.
    pub lines: Vec<String>,
}

/// What a version is to its rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It decides.
    Live,
    /// It was live.
    Former,
    /// It decides events about chosen accounts.
    Canary,
    /// It was a canary and never became live itself.
    Tried,
}

/// Compares the draft with the live version on what really happens from now on, without effects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartShadow {
    /// The generation of the draft as it was seen.
    pub expected_generation: i64,
    /// Why; that of the draft without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Goes live by itself after so many days without a difference, 1 to 90; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 90))]
    pub promote_after_equal_days: Option<i64>,
}

/// A candidate beside the live version.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleShadowView {
    /// The rule.
    pub rule: RuleId,
    /// The live version that it is compared with.
    pub base_version: i64,
    /// What it would change in that.
    pub changes: Vec<RuleChange>,
    /// The candidate as YAML.
    pub yaml: String,
    /// What was found so far.
    pub counts: ShadowCounts,
    /// When the latest difference happened.
    pub differed_at: Option<Timestamp>,
    /// Everything before this moment was looked at, but for what is still queued behind it.
    pub seen_until: Timestamp,
    /// Goes live by itself after so many days without a difference.
    pub promote_after_equal_days: Option<i64>,
    /// Why it is not compared any further.
    pub problem: Option<String>,
    /// Who began it.
    pub author: UserId,
    /// Why.
    pub reason: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// Which differences of a shadow to list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowDifferenceQuery {
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// Most items, 1 to 200; 50 without it.
    pub limit: Option<u32>,
}

/// Differences of a shadow; the latest 500 are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ShadowDifferenceList {
    /// The newest first.
    pub items: Vec<ShadowDifference>,
    /// Give this as `cursor` to get the next page; none at the end.
    pub next_cursor: Option<String>,
}

/// Makes the draft a version that decides events about some accounts, with effects; the live one decides all others.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StartCanary {
    /// The generation of the draft as it was seen.
    pub expected_generation: i64,
    /// The accounts, 1 to 100. An event is about them if every account that it names is one of them.
    #[schemars(length(min = 1, max = 100))]
    pub accounts: Vec<AccountId>,
    /// Why; that of the draft without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner tries it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
    /// Withdraws it by itself after so many failed runs, 1 to 100; never without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub withdraw_after_failures: Option<i64>,
}

/// A version that decides events about some accounts, beside the live one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleCanaryView {
    /// The rule.
    pub rule: RuleId,
    /// Its own number.
    pub version: i64,
    /// The live version that it was made from.
    pub base_version: i64,
    /// The accounts whose events it decides.
    pub accounts: Vec<AccountId>,
    /// What it changes in the live version.
    pub changes: Vec<RuleChange>,
    /// It as YAML.
    pub yaml: String,
    /// What it did since it began.
    pub canary: RunCounts,
    /// What the live version did since then.
    pub live: RunCounts,
    /// It is withdrawn by itself after so many failed runs.
    pub withdraw_after_failures: Option<i64>,
    /// Why it decides nothing any more.
    pub problem: Option<String>,
    /// Who began it.
    pub author: UserId,
    /// Why.
    pub reason: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// Runs of a version since a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunCounts {
    /// Started.
    pub started: i64,
    /// Of those, failed.
    pub failed: i64,
}

/// Makes a candidate that was tried the live version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PromoteCandidate {
    /// When the shadow or canary that was seen began; refused when another one took its place. Whichever there is without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// Why; that of its beginning without it. One of the two must be there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Why an owner publishes it although cases fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub override_reason: Option<String>,
}
