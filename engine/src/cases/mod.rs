//! Cases of rules, tried in memory on a clock of their own.
//!
//! Owns the reading of cases, the walk through a rule's steps without performing any, and what of a rule was gone
//! through. Must not know the store, a network or the time of day. Invariant: the same rule and case come out the same
//! everywhere, for the decision, the order of steps and the rendering are those of real runs.

mod coverage;
mod gates;
mod made;
mod read;
mod trial;
mod walk;

pub use made::case_of_run;
pub use read::{of_list, read, split, to_yaml};
pub use trial::{Ground, RULE_OF_CASES, compile, run_all};

pub use coverage::Counting;

#[cfg(test)]
mod tests;
