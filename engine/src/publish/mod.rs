//! The publish protocol: never lost, never doubled.
//!
//! Owns the states of a publication, its attempts and their reconciliation;
//! see docs/publishing.md for the picture and the reasons. Never knows a
//! network: that is behind `PublishPort`. Invariants: no call without a
//! committed open attempt under a fenced claim (P1); after an unknown outcome
//! no new attempt before the network was asked (P2); published is terminal (P3).

mod begin;
mod gap;
mod history;
mod human;
mod limits;
mod load;
mod port;
mod reconcile;
pub mod relation;
mod result;
mod settled;
mod spill;
mod step;
mod together;
mod work;

pub use begin::{BeginError, Begun, NewPublication, begin_publishing, parts};
pub use history::{Unlawful, check_histories, check_history};
pub use human::{HumanDecision, decide_by_hand};
pub(crate) use limits::Pauses;
pub use port::{
    Commit, Found, ParentRef, PortError, PortErrorClass, Prepare, PublishPort, PublishWork,
};
pub(crate) use spill::Outcome;
pub use spill::replay as replay_spill;
pub use together::Together;
pub use work::JOB_PUBLICATION;

#[cfg(test)]
mod limits_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod together_tests;
