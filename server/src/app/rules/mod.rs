//! Rules: reading, checking, versioning, switching, the button.
//!
//! Owns the use cases of rules. Must not know the grammar (the engine's) or HTTP. Invariants: what is stored
//! was accepted by the engine's check; timers change in the transaction of the rule; whether a rule is on is
//! said by its row alone, so that switching makes no version.

mod around;
pub mod canaries;
mod candidate;
mod cases;
mod catalogue;
mod difference;
mod document;
pub mod drafts;
mod mask;
mod press;
mod read;
pub mod shadows;
mod starters;
mod ways;
mod write;

#[cfg(test)]
mod analysis_tests;
#[cfg(test)]
mod canary_tests;
#[cfg(test)]
mod cases_tests;
#[cfg(test)]
mod shadow_tests;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod version_tests;

pub(super) use cases::{beside as beside_version, gathered, library_changed, tried};
pub use cases::{blueprints, coverage, fill, of_run, test};
pub use catalogue::catalogue;
pub use difference::compare;
pub use document::check;
pub(super) use document::{Judge, Ready, examine};
pub use press::{decisions, press};
pub use read::{get, get_version, list, list_versions};
pub use starters::{Furnish, install_starters};
pub use ways::ways;
pub(super) use write::{carried, hold, rule_changed, sync, told_reason};
pub use write::{create, delete, put, reload, restore, resync_timers, switch};
