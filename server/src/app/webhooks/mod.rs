//! Inbound webhooks: their addresses and secrets, and the calls that come.
//!
//! Owns making, rotating and taking calls. Must not know HTTP types. Invariants: a call is answered as taken
//! only after its event is on disk; a call whose signature is wrong leaves no row; nothing that proves who
//! somebody is (authorisation, cookies, signatures) is kept with a call.

mod call;
mod doors;
mod manage;
mod receive;
mod scheme;

#[cfg(test)]
mod tests;

pub use call::{Call, Payload};
pub use doors::Doors;
pub use manage::{change, create, delete, get, list, rotate};
pub use receive::{CALL_BYTES_MAX, receive};
pub(crate) use scheme::verification;
