//! Rule documents: read, checked and explained before they are stored.
//!
//! Owns the way from text to a document that this server can execute, the JSON
//! Schema, and the catalogue of kinds. Must not know the store, a clock or any
//! plugin's behaviour. Invariant: a document that `validate` accepts compiles.

pub mod analysis;
pub mod catalogue;
mod check;
mod conditions;
pub mod difference;
mod fields;
mod json;
pub mod lossless;
mod samples;
mod schema;
mod scripts;
mod shape;
mod steps;
mod suggest;
mod text;
mod yaml;

pub use catalogue::{
    ANY_EVENT_KIND, ActionSpec, Catalogue, Discriminator, DiscriminatorOp, DiscriminatorSource,
    FactSpec, FactType, KindSpec, TriggerSpec,
};
pub use check::{Validated, validate, validate_within};
pub(crate) use conditions::{WEEKDAYS, compile_pattern, parse_time};
pub use schema::{GRAMMAR_VERSION, schema};
pub(crate) use scripts::{script_error, script_params};
pub(crate) use shape::describe;
pub use steps::{MAX_STEP_DEPTH, MAX_STEPS};
pub(crate) use text::join;
pub use text::{Format, Place, Positions, parse, to_yaml};

#[cfg(test)]
mod check_tests;
#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod text_tests;
