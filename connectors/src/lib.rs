//! The networks: one folder each, behind one trait.
//!
//! Owns the [`Connector`] trait, the shared OAuth client and the networks.
//! Must not know the database, rules or the engine. Invariant: nothing outside
//! this crate knows a network but through its manifest.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod bluesky;
pub mod call;
pub mod checks;
#[cfg(any(test, feature = "doubles"))]
pub mod conformance;
mod connector;
pub mod context;
#[cfg(any(test, feature = "doubles"))]
pub mod doubles;
pub mod error;
pub mod mastodon;
pub mod oauth;
mod registry;
pub mod sandbox;
mod secret;

pub use connector::{
    CommitOutcome, ConnectedAccount, Connector, Deleted, Found, Metrics, Prepared, Refresh,
    SignInStart, Verified,
};
pub use context::{
    Cx, MediaFacts, MediaFile, MediaSource, MemorySource, NetworkConfig, ParentRef, PublishCx,
};
pub use error::{ConnectorError, ErrorClass};
pub use registry::{Registry, registry};
pub use secret::SecretValue;
