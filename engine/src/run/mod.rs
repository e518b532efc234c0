//! Runs: durable steps, carried on by jobs.
//!
//! Owns the walk through a rule's steps, retries and settling. Never knows what
//! an action does. Invariant: a step's outcome is a memo written once, and the
//! walk is a pure function of the document and the memos.

mod advance;
mod ends;
mod local;
mod remote;
mod retry;
mod state;
mod walk;

pub use advance::{start_next_queued, wake_run};
pub use ends::Ends;
pub use retry::delay_before;
pub use state::RunContext;
pub use walk::{Memos, Next, next_step};

#[cfg(test)]
mod tests;
