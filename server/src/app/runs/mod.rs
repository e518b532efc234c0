//! Runs: listing, drawing, cancelling, starting again.
//!
//! Owns the use cases of runs. Must not carry a run on: that is the engine's. Invariant: a run is shown with
//! the version of the rule that it runs, not with the rule of today.

mod change;
mod names;
mod read;

#[cfg(test)]
mod tests;

pub use change::{cancel, rerun};
pub use names::Names;
pub use read::{get, list};
