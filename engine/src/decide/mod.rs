//! Deciding which rules an event starts, and saying why.
//!
//! Owns compiled rules, the index from events to rules, and traces. Must not do
//! I/O, await or read a clock: facts and the moment are handed in. Invariant:
//! the same rule version, event, facts and moment give the same decision.

mod canary;
mod compiled;
mod condition;
mod decision;
mod explain;
mod facts;
mod index;
mod path;
mod plain;
mod plan;
mod probe;
mod say;
mod test;
mod trigger;
mod weigh;
mod window;

pub(crate) use canary::is_about_only;
pub use canary::{Canary, accounts_of};
pub use compiled::CompiledRule;
pub use condition::{Condition, Fault};
pub use decision::{
    Glance, MAX_CAUSE_DEPTH, MAX_SAME_RULE, decide, facts_needed, glance, settle, verdict,
};
pub use facts::{
    DecisionInput, FactRequest, FactValues, Facts, RunFacts, TriggerFacts, WorkspaceFacts,
};
pub use index::RuleIndex;
pub use plan::Params;
pub(crate) use plan::Plans;
pub(crate) use probe::Probe;
pub(crate) use say::spoken;
pub use trigger::CompiledTrigger;

#[cfg(test)]
mod tests;
