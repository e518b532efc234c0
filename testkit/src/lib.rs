//! What the tests of the other crates stand on: real counterparts, a private PostgreSQL, the product as a
//! process, a browser to look at its page with, and what benchmarks share.
//!
//! Used only from tests; nothing here is part of the product.
//! Invariant: what cannot be had on a machine is skipped loudly, never silently.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod browser;
pub mod counterpart;
pub mod figures;
pub mod postgres;
pub mod power;
pub mod product;
