//! Networks as data, for forms and live counts.
//!
//! Owns the list only; what a network can do is its manifest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::Manifest;

/// The networks of this server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkList {
    /// In the order shown to people.
    pub items: Vec<Manifest>,
}
