//! The script library: modules that the rules of a workspace call.
//!
//! Owns the use cases of modules; what a module may hold is the engine's. Invariants: what is saved compiles, and
//! every rule that calls it compiles with it; each of those rules gets a new version in the same transaction, so
//! that a run keeps what it began with.

mod along;
#[cfg(test)]
mod along_tests;
mod read;
#[cfg(test)]
mod tests;
mod trial;
mod write;

pub use read::{get, get_version, list, list_versions};
pub use trial::check;
pub use write::{delete, put, restore};
