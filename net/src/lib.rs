//! The only place in the tree that builds an HTTP client.
//!
//! Owns: which addresses may be reached, how a request is sent, how much of an answer is read, and what a
//! failure says about whether the other side can have acted. Must not know: networks, rules, feeds or the
//! database. Invariant: no socket is opened to an address that [`Guard`] has not permitted for that host and port.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod allow;
mod error;
mod gate;
mod guard;
mod outbound;
mod request;
mod resolve;
mod response;
#[cfg(test)]
mod tests;

pub use address::is_public;
pub use allow::{AllowRule, AllowRuleError};
pub use bytes::Bytes;
pub use error::{BlockReason, NetError, Sent};
pub use gate::{HostGate, MAX_GATED_HOSTS};
pub use guard::Guard;
pub use outbound::{Outbound, OutboundConfig};
pub use request::{
    Body, BodyStream, DEFAULT_RESPONSE_BYTES, MAX_DECODED_BYTES, MAX_REDIRECTS, Multipart,
    OutboundRequest, Part, PartContent, Purpose, Redirects,
};
pub use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
pub use reqwest::{Method, StatusCode};
pub use resolve::{Lookup, LookupFuture, SystemLookup};
pub use response::{OutboundResponse, OutboundStream, retry_after};
pub use url::Url;
