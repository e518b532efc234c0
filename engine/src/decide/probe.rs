//! Comparisons tried on single values, for the analysis of conditions.
//!
//! Invariant: what is answered here is what a decision would answer, because both ask the same code.

use serde_json::Value;
use so_model::rule::Op;

use super::{path::Seen, test::Test};

/// A comparison with a constant.
#[derive(Debug, Clone)]
pub(crate) struct Probe(Test);

impl Probe {
    /// Compiles a comparison; none if the constant does not suit it.
    pub fn compile(op: Op, constant: &Value) -> Option<Self> {
        Test::compile(op, constant).ok().map(Self)
    }

    /// Whether it holds of a value, where null is absent; none when it cannot be decided.
    pub fn holds(&self, value: &Value) -> Option<bool> {
        self.0.holds(&Seen::of(value)).ok()
    }
}
