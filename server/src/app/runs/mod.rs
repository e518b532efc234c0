//! Runs: listing, drawing, cancelling, starting again.
//!
//! Owns the use cases of runs. Must not carry a run on: that is the engine's. Invariant: a run is shown with
//! the version of the rule that it runs, not with the rule of today.

mod bulk;
mod change;
mod compare;
mod names;
mod read;
mod redrive;
mod what_if;

#[cfg(test)]
mod tests;

pub use bulk::bulk;
pub use change::{cancel, rerun};
pub use compare::compare;
pub use names::Names;
pub use read::{get, list};
pub use redrive::redrive;
pub use what_if::what_if;
