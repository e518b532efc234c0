//! Scripts in rules: conditions, templates and script steps, run in a sandbox.
//!
//! Owns everything about Rhai, so no other module names it; must not know rules or the store.
//! Invariant: scripts are pure. They see the variables given, the run's virtual clock and seed,
//! and return a value; nothing they do reaches outside or differs on replay.

mod analysis;
mod api;
mod catalogue;
mod context;
mod error;
mod functions;
mod library;
mod rewrites;
mod sandbox;
mod shape;
mod state;
mod stepping;
mod template;
mod text;
mod vet;

pub(crate) use analysis::DRAWS;
pub use analysis::{
    Family, Finding, FindingKind, Known, Logic, Name, Replace, TextTest, When, analyse,
    analyse_known, family_of, is_volatile, logic, property_paths,
};
pub use api::{Function, completions, definitions, functions, markdown};
pub use catalogue::{ROOT_NAMES, SCRIPT_FUNCTIONS};
pub use context::{EvalContext, PreparedContext, ScopeCache};
pub use error::{ScriptError, ScriptErrorKind};
pub use library::{
    Library, LibraryFunction, MODULE_NAME_MAX, MODULES_MAX, ModuleError, Use, check_name,
    mentioned, mentioned_in,
};
pub use sandbox::{CompiledScript, CountFn, ScriptEngine, ScriptLimits, ScriptOutcome};
pub use shape::Shape;
pub use stepping::{MAX_STOPS, Stepped, Stop, step_through};
pub use template::{Template, TemplateTree};

#[cfg(test)]
mod tests;
