//! Runs: durable steps, carried on by jobs.
//!
//! Owns the walk through a rule's steps, retries and settling. Never knows what
//! an action does. Invariant: a step's outcome is a memo written once, and the
//! walk is a pure function of the document and the memos.

mod advance;
mod aside;
mod dry;
mod ends;
mod flow;
mod local;
mod memo;
mod over;
mod remote;
mod rest;
mod retry;
mod scope;
mod state;
mod steps;
mod stretches;
#[cfg(test)]
mod stretches_tests;
mod together;
#[cfg(test)]
mod together_tests;
mod waiting;
mod walk;
mod way;

pub(crate) use advance::STEPS;
pub(crate) use aside::{Assumed, Carried};
pub(crate) use dry::{Answer, Around, Call, DryRun, Got, Known};
pub use ends::Ends;
pub(crate) use flow::list_of;
pub(crate) use over::wake_runs;
pub use over::{after_over, cancel, start_next_queued, wake_run};
pub(crate) use over::{is_awaited, wake_callers};
pub use read::ReadRun;
pub use retry::delay_before;
pub use state::{RunContext, shorten};
pub(crate) use steps::{end_of_delay, text_of};
pub use stretches::Stretches;
pub use walk::{Memos, Place, Position, Standing, position};
pub(crate) use walk::{ends_of, pointer_of};
pub(crate) use way::{number_of, oddity_of, steps_of};

#[cfg(test)]
mod flow_tests;
#[cfg(test)]
pub(crate) mod random_tests;
mod read;
#[cfg(test)]
mod tests;
