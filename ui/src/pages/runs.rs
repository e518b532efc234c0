//! Runs: what rules did, and one run drawn along its rule's own document.
//!
//! Owns the room. Invariant: what is drawn comes from the run's pinned version, whatever the rule is today.

mod again;
mod case;
mod conditions;
mod list;
mod one;
mod picture;
mod steps;

pub use self::conditions::saw_words;
pub use self::list::List;
pub use self::one::One;
