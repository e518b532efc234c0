//! Versions that are tried on some accounts: which of two versions of a rule decides an event.
//!
//! Owns what an event is about. Must not read anything but the event. Invariant: one version of a rule decides an
//! event, never both; whatever names an account that was not chosen, or none at all, is the live version's.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use so_model::{
    event::Event,
    id::{AccountId, RuleId, WorkspaceId},
};

use super::{compiled::CompiledRule, index::RuleIndex};

/// A version that decides events about some accounts.
#[derive(Debug, Clone)]
pub struct Canary {
    /// The version.
    pub rule: Arc<CompiledRule>,
    /// The accounts.
    pub accounts: HashSet<AccountId>,
}

/// The accounts that an event is about: the one it tells of, or those that its post goes to. None if it names none, or
/// one that cannot be read.
pub fn accounts_of(data: &Value) -> Vec<AccountId> {
    let account = &data["account"];
    if let Some(one) = account.as_str().or_else(|| account["id"].as_str()) {
        return one.parse().into_iter().collect();
    }
    let variants = data["post"]["variants"].as_array();
    let each = variants.into_iter().flatten();
    each.map(|variant| variant["account"].as_str()?.parse().ok())
        .collect::<Option<Vec<AccountId>>>()
        .unwrap_or_default()
}

/// Whether an event is about accounts, and about none but chosen ones.
pub fn is_about_only(about: &[AccountId], is_chosen: impl Fn(&AccountId) -> bool) -> bool {
    !about.is_empty() && about.iter().all(is_chosen)
}

/// All canaries, ready for events.
#[derive(Debug, Default)]
pub(super) struct Canaries {
    accounts: HashMap<RuleId, HashSet<AccountId>>,
    workspaces: HashSet<WorkspaceId>,
    index: RuleIndex,
}

impl Canaries {
    pub(super) fn build(canaries: Vec<Canary>) -> Option<Box<Self>> {
        if canaries.is_empty() {
            return None;
        }
        let mut made = Self::default();
        for canary in canaries {
            made.workspaces.insert(canary.rule.workspace);
            made.accounts.insert(canary.rule.id, canary.accounts);
            made.index.insert(canary.rule);
        }
        Some(Box::new(made))
    }

    /// The canary of a rule, whether or not it decides.
    pub(super) fn get(&self, rule: RuleId) -> Option<&Arc<CompiledRule>> {
        self.index.get(rule)
    }

    fn decides(&self, rule: RuleId, about: &[AccountId]) -> bool {
        let chosen = self.accounts.get(&rule);
        chosen.is_some_and(|chosen| is_about_only(about, |one| chosen.contains(one)))
    }

    /// Puts canaries where the live versions of their rules stand, for the events that are theirs.
    pub(super) fn take_over(&self, event: &Event, found: &mut Vec<(Arc<CompiledRule>, usize)>) {
        if !self.workspaces.contains(&event.workspace) {
            return;
        }
        let about = accounts_of(&event.data);
        if about.is_empty() {
            return;
        }
        found.retain(|(rule, _)| !self.decides(rule.id, &about));
        let own = self.index.candidates(event);
        found.extend(
            own.into_iter()
                .filter(|(rule, _)| self.decides(rule.id, &about)),
        );
    }
}
