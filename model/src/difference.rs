//! How two versions of a rule differ, in sentences.
//!
//! Owns the form of one difference. Must not know how it is found: the engine does. Invariant: a difference names a
//! place, and a reader who knows no JSON understands its sentence.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One difference between two versions of a rule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RuleChange {
    /// Stable name of the sort of difference: `window.moved`, `step.added`.
    pub code: String,
    /// Where it is: in the later document, or in the earlier one if it is gone from the later.
    pub path: String,
    /// What is different, for people.
    pub sentence: String,
    /// What stood there; null if nothing did.
    #[serde(default)]
    pub before: Value,
    /// What stands there; null if nothing does.
    #[serde(default)]
    pub after: Value,
}
