//! Static analysis: what is surely or probably wrong with a rule, told before it runs.
//!
//! Owns the findings beyond the grammar, which `check` tells. Must not run a rule, read a clock or know the
//! store. Invariants: a finding is true of every event, or says that it is only possible; the same document
//! in the same surroundings has the same findings; time is bounded whatever the document.

mod around;
pub mod codes;
mod conditions;
mod names;
mod review;
mod scope;
#[cfg(test)]
mod soundness;
mod trees;
mod typed;
mod worlds;

use std::sync::Arc;

use so_model::{id::RuleId, rule::RuleDocument};

use crate::script::ScriptEngine;

use super::Catalogue;

pub use around::{ALWAYS, Neighbour, WRITES};
pub use codes::{Found, Severity, Sort};
pub use names::{Lookup, NameList, Named, REFERS_TO, Thing};

/// What is known of a rule's workspace; nothing, when a file is checked by itself.
#[derive(Clone, Copy, Default)]
pub struct Around<'a> {
    /// The rule's own id, if it has one.
    pub own: Option<RuleId>,
    /// The other live rules.
    pub rules: &'a [Neighbour],
    /// Accounts, labels and what else it may name.
    pub names: Option<&'a dyn Lookup>,
}

/// Everything that is found in a document which follows the grammar.
pub(super) fn analyse(
    document: &RuleDocument,
    catalogue: &Catalogue,
    scripts: &ScriptEngine,
    around: &Around<'_>,
) -> Vec<Found> {
    let mut pass = review::Pass::new(document, catalogue, scripts);
    pass.document(document);
    let mut found = pass.found;
    if let Some(names) = around.names {
        let references = names::references(document, catalogue);
        found.extend(names::unknown(&references, names));
    }
    let own = Neighbour {
        id: around.own,
        document: Arc::new(document.clone()),
    };
    let others = around
        .rules
        .iter()
        .filter(|rule| rule.id.is_none() || rule.id != around.own);
    let rules: Vec<Neighbour> = [own].into_iter().chain(others.cloned()).collect();
    found.extend(around::circles(&rules, catalogue));
    found.extend(around::calls(&rules, catalogue));
    found.extend(around::conflicts(&rules, catalogue, scripts));
    found
}
