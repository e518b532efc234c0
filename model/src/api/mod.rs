//! Requests and responses of the HTTP API, one module for each resource.
//!
//! Owns their shapes only: what a field may hold is judged by the server. Requests refuse unknown
//! members, so that a misspelt name is told instead of lost. Invariant: server and page share these
//! types, and the OpenAPI document is made of them.

pub mod account;
pub mod again;
pub mod auth;
pub mod dry_run;
pub mod endpoint;
pub mod event;
pub mod feed;
pub mod forecast;
pub mod hook;
pub mod instance;
pub mod label;
pub mod media;
pub mod network;
pub mod notification;
pub mod post;
pub mod preview;
pub mod queue;
pub mod rule;
pub mod run;
pub mod sandbox;
pub mod script;
pub mod simulation;
pub mod version;
pub mod workspace;
