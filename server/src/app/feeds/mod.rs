//! Feeds: subscribing, polling, importing.
//!
//! Owns the use cases of feeds and the poller. Must not parse a feed: that is the triggers'. Invariants: what
//! a poll saw and the events it caused are stored in one transaction, which also proves that the poller still
//! holds the feed; an item becomes an event once, however often it is seen.
//!
//! The first poll of a feed only takes note of what is there: an item is news when it appears later. Whoever
//! subscribes may ask for some of the newest items to be announced all the same.

mod first;
mod import;
mod item;
mod manage;
mod poll;
mod store;

#[cfg(test)]
pub(crate) mod double;
#[cfg(test)]
mod tests;

pub(crate) use first::{judge_url, unreadable};
pub use import::import;
pub use item::shown;
pub use manage::{change, create, delete, get, list, poll_now};
pub use poll::{BATCH, Poller, poll_due_feeds};
