//! Rule documents: read, checked and explained before they are stored.
//!
//! Owns the way from text to a document that this server can execute, the JSON
//! Schema, and the catalogue of kinds. Must not know the store, a clock or any
//! plugin's behaviour. Invariant: a document that `validate` accepts compiles.

pub mod catalogue;
mod json;
mod schema;
mod shape;
mod suggest;
mod text;
mod yaml;

pub use catalogue::{
    ANY_EVENT_KIND, ActionSpec, Catalogue, Discriminator, DiscriminatorOp, DiscriminatorSource,
    FactSpec, FactType, KindSpec, TriggerSpec,
};
pub use schema::{GRAMMAR_VERSION, schema};
pub use text::{Format, Place, Positions, parse, to_yaml};

#[cfg(test)]
mod text_tests;
