//! Forecasts of the calendar.
//!
//! Owns the shape of what is asked. Invariant: a draft takes part in one forecast alone.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rule::RuleText;
use crate::{id::RuleId, time::Timestamp};

/// A rule as it might be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastDraft {
    /// The saved rule that it takes the place of, in one draft alone; without it the draft is one more rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<RuleId>,
    /// The draft as a document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Value>,
    /// The draft as a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<RuleText>,
}

/// Asks for the calendar of a span to come.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastRequest {
    /// Weeks from now, 1 to 13; 4 without it and without `until`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weeks: Option<u32>,
    /// The end of the span, instead of weeks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Rules as they might be, at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drafts: Vec<ForecastDraft>,
    /// Saved rules as if they were off.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<RuleId>,
}

/// Names the span of a forecast.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastQuery {
    /// Weeks from now, 1 to 13; 4 without it and without `until`.
    #[serde(default)]
    pub weeks: Option<u32>,
    /// The end of the span, instead of weeks.
    #[serde(default)]
    pub until: Option<Timestamp>,
}
