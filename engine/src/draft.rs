//! A rule as it might be, beside the saved rules or in the place of one: what forecasts and simulations are asked with.
//!
//! Invariant: a draft is a document that was checked; it is never stored.

use so_model::{id::RuleId, rule::RuleDocument};

/// A rule as it might be.
#[derive(Debug, Clone)]
pub struct Draft {
    /// The saved rule whose place it takes; none if it is one more.
    pub rule: Option<RuleId>,
    /// What it says; one that is off takes the rule away.
    pub document: RuleDocument,
}
