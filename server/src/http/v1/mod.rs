//! Version 1 of the API: one folder for each resource, one file for each endpoint.
//!
//! Invariant: what is not in this table is not reachable.

mod auth;
mod live;
mod me;
mod members;
mod workspaces;

use super::Endpoint;

/// Every endpoint, in the order of the documentation.
pub fn endpoints() -> Vec<Endpoint> {
    [
        auth::endpoints(),
        me::endpoints(),
        workspaces::endpoints(),
        members::endpoints(),
        live::endpoints(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
