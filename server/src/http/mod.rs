//! HTTP: routes, the ground every request passes, the listener.
//!
//! Owns what is true of all routes. Must not know a use case. Invariants: every route of the API stands in
//! one table, which the router, the check of roles and the OpenAPI document are made of; every answer
//! carries the same headers, and every error is problem+json.

pub mod access;
pub mod answer;
pub mod bodies;
pub mod cookie;
pub mod docs;
pub mod endpoint;
pub mod extract;
pub mod ground;
pub mod headers;
pub mod health;
pub mod inbound;
pub mod json;
pub mod listen;
pub mod openapi;
pub mod page;
pub mod peer;
pub mod router;
pub mod v1;

pub use access::{Access, Member, SignedIn};
pub use answer::{Created, NoContent};
pub use endpoint::Endpoint;
pub use extract::{PathId, Query};
pub use json::Json;
pub use router::router;
