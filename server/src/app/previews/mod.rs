//! Trying things out before they are saved.
//!
//! Owns what editors ask while somebody types. Invariants: a preview stores nothing and starts nothing; what
//! may take long runs off the threads that serve requests, within the bounds of the sandbox.

mod bench;
mod feed;
mod schedule;
mod script;
mod signature;
mod text;

#[cfg(test)]
mod tests;

pub use bench::Bench;
pub use feed::feed;
pub use schedule::schedule;
pub use script::script;
pub use signature::signature;
pub use text::text;
