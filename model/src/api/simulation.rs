//! Simulations over history.
//!
//! Owns the shape of what is asked. Invariant: a draft takes part in one simulation alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::forecast::ForecastDraft;
use crate::{id::RuleId, time::Timestamp};

/// Asks what rules would have done about the recorded events of a range.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SimulationRequest {
    /// The beginning of the range; at most 400 days before its end.
    pub from: Timestamp,
    /// The end of the range; now without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Only events of these kinds are played; all without it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
    /// Rules as they might be, at most 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drafts: Vec<ForecastDraft>,
    /// Saved rules as if they were off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<RuleId>,
}
