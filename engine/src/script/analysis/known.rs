//! What is known of a script's variables at the place where it stands.
//!
//! Must not know scripts. Invariant: what is not known is left open, so that it causes no finding.

use std::collections::BTreeMap;

use crate::script::shape::Shape;

/// What is known of the variables.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Of `event.data`.
    pub data: Shape,
    /// Of `steps`, by the step's id; none if the steps are not known.
    pub steps: Option<BTreeMap<String, Name>>,
    /// Of `vars`, by name; none if the variables are not known.
    pub vars: Option<BTreeMap<String, Name>>,
    /// Of the other variables, such as `workspace`.
    pub roots: BTreeMap<String, Shape>,
    /// No step has run: `steps`, `vars` and `run` are empty.
    pub before_steps: bool,
}

/// A step or a variable that a script may name.
#[derive(Debug, Clone)]
pub struct Name {
    /// What is below it.
    pub shape: Shape,
    /// Whether it is there.
    pub when: When,
}

/// Whether a step has run, or a variable is set, where a script stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// On every way to this place.
    Ready,
    /// On some ways.
    Maybe,
    /// It comes after this place.
    Later,
    /// It stands in a branch that is not taken when this place is reached.
    Apart,
}

impl Known {
    /// Nothing but the data of the event.
    pub fn of_data(data: &Shape) -> Self {
        Self {
            data: data.clone(),
            ..Self::default()
        }
    }
}
