//! Scripts in rules: conditions, templates and script steps, run in a sandbox.
//!
//! Owns everything about Rhai, so no other module names it; must not know rules or the store.
//! Invariant: scripts are pure. They see the variables given, the run's virtual clock and seed,
//! and return a value; nothing they do reaches outside or differs on replay.

mod analysis;
mod catalogue;
mod context;
mod error;
mod functions;
mod rewrites;
mod sandbox;
mod shape;
mod state;
mod template;
mod text;
mod vet;

pub use analysis::{Finding, FindingKind, analyse, property_paths};
pub use catalogue::{ROOT_NAMES, SCRIPT_FUNCTIONS};
pub use context::{EvalContext, PreparedContext, ScopeCache};
pub use error::{ScriptError, ScriptErrorKind};
pub use sandbox::{CompiledScript, CountFn, ScriptEngine, ScriptLimits, ScriptOutcome};
pub use shape::Shape;
pub use template::{Template, TemplateTree};

#[cfg(test)]
mod tests;
