//! From an event to the rules that may want it.
//!
//! Owns the map from workspace, event kind and two literals to triggers. Must
//! not evaluate conditions. Invariant: a look-up touches only candidates, so
//! that rules which do not care cost nothing; it never misses a trigger whose
//! `matches` would accept the event.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use so_model::{
    event::Event,
    id::{RuleId, WorkspaceId},
};

use crate::rule::ANY_EVENT_KIND;

use super::{
    canary::{Canaries, Canary},
    compiled::CompiledRule,
    trigger::{CompiledTrigger, Field, Pick},
};

/// Literals in a key. More would make a look-up dearer than what it saves.
const COLUMNS: usize = 2;

/// Keys of one trigger; one with more (long lists in both columns) is filed
/// under its first column only.
const MAX_KEYS: usize = 256;

type Literal = Option<Box<str>>;

/// The rules of all workspaces, ready for events.
#[derive(Debug, Default)]
pub struct RuleIndex {
    /// What is read of an event, by its kind; the same for every workspace, so that it stays in the processor's caches.
    looks: HashMap<String, Vec<Look>>,
    /// Triggers by the hash of workspace, event kind, trigger kind and literals. Should two keys ever have one hash, one
    /// finds the other's triggers: those of another workspace are left out, others refuse the event.
    entries: HashMap<u64, Vec<Entry>>,
    rules: HashMap<RuleId, Arc<CompiledRule>>,
    canaries: Option<Box<Canaries>>,
    hasher: RandomState,
}

/// What triggers of one kind read of events of one kind.
#[derive(Debug)]
struct Look {
    trigger_kind: String,
    columns: Vec<Field>,
    /// Triggers of this kind in the index.
    triggers: usize,
}

#[derive(Debug)]
struct Entry {
    rule: Arc<CompiledRule>,
    trigger: usize,
}

impl RuleIndex {
    /// An index of rules; switched-off ones are left out.
    pub fn build(rules: Vec<Arc<CompiledRule>>) -> Self {
        let mut index = Self::default();
        for rule in rules {
            index.insert(rule);
        }
        index
    }

    /// The same, with versions that decide events about some accounts instead of the live ones.
    pub fn with_canaries(mut self, canaries: Vec<Canary>) -> Self {
        self.canaries = Canaries::build(canaries);
        self
    }

    /// Adds a rule in place of its earlier version, or only removes that if
    /// the rule is switched off.
    pub fn insert(&mut self, rule: Arc<CompiledRule>) {
        self.remove(rule.id);
        if !rule.document.enabled {
            return;
        }
        for (number, trigger) in rule.triggers.iter().enumerate() {
            for kind in &trigger.event_kinds {
                let looks = self.looks.entry(kind.clone()).or_default();
                look_of(looks, trigger).triggers += 1;
                for key in keys_of(trigger) {
                    let hash = self.hash(rule.workspace, kind, &trigger.kind, borrowed(&key));
                    self.entries.entry(hash).or_default().push(Entry {
                        rule: Arc::clone(&rule),
                        trigger: number,
                    });
                }
            }
        }
        self.rules.insert(rule.id, rule);
    }

    /// Removes a rule.
    pub fn remove(&mut self, rule: RuleId) {
        let Some(old) = self.rules.remove(&rule) else {
            return;
        };
        for trigger in &old.triggers {
            for kind in &trigger.event_kinds {
                for key in keys_of(trigger) {
                    let hash = self.hash(old.workspace, kind, &trigger.kind, borrowed(&key));
                    if let Some(entries) = self.entries.get_mut(&hash) {
                        entries.retain(|entry| entry.rule.id != rule);
                        if entries.is_empty() {
                            self.entries.remove(&hash);
                        }
                    }
                }
                self.forget_look(kind, &trigger.kind);
            }
        }
    }

    fn forget_look(&mut self, event_kind: &str, trigger_kind: &str) {
        let Some(looks) = self.looks.get_mut(event_kind) else {
            return;
        };
        for look in looks.iter_mut() {
            look.triggers -= usize::from(look.trigger_kind == trigger_kind);
        }
        looks.retain(|look| look.triggers > 0);
        if looks.is_empty() {
            self.looks.remove(event_kind);
        }
    }

    fn hash(
        &self,
        workspace: WorkspaceId,
        event_kind: &str,
        trigger_kind: &str,
        key: (Option<&str>, Option<&str>),
    ) -> u64 {
        self.hasher
            .hash_one((workspace, event_kind, trigger_kind, key))
    }

    /// The live version of a rule, compiled, if it is switched on.
    pub fn get(&self, rule: RuleId) -> Option<&Arc<CompiledRule>> {
        self.rules.get(&rule)
    }

    /// Every version of a rule that starts runs: the live one and its canary.
    pub fn starting(&self, rule: RuleId) -> impl Iterator<Item = &Arc<CompiledRule>> {
        let canary = self.canaries.as_ref();
        let canary = canary.and_then(|canaries| canaries.get(rule));
        self.get(rule).into_iter().chain(canary)
    }

    /// The rules of a workspace that are switched on, by their ids.
    pub fn of_workspace(&self, workspace: WorkspaceId) -> Vec<Arc<CompiledRule>> {
        let own = |rule: &&Arc<CompiledRule>| rule.workspace == workspace;
        let mut found: Vec<_> = self.rules.values().filter(own).cloned().collect();
        found.sort_unstable_by_key(|rule| rule.id);
        found
    }

    /// Rules in the index.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// True without any rule.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    #[cfg(test)]
    pub(super) fn holds_nothing(&self) -> bool {
        self.looks.is_empty() && self.entries.is_empty() && self.rules.is_empty()
    }

    /// Triggers that may want the event, with their number in the rule, in the
    /// order of rule and trigger.
    pub fn candidates(&self, event: &Event) -> Vec<(Arc<CompiledRule>, usize)> {
        let mut found = Vec::new();
        for kind in [event.kind.as_str(), ANY_EVENT_KIND] {
            for look in self.looks.get(kind).into_iter().flatten() {
                self.look_up(look, kind, event, &mut found);
            }
        }
        if let Some(canaries) = &self.canaries {
            canaries.take_over(event, &mut found);
        }
        found.sort_unstable_by_key(|(rule, trigger)| (rule.id, *trigger));
        found.dedup_by_key(|(rule, trigger)| (rule.id, *trigger));
        found
    }

    fn look_up(
        &self,
        look: &Look,
        kind: &str,
        event: &Event,
        found: &mut Vec<(Arc<CompiledRule>, usize)>,
    ) {
        let mut values: [Vec<Literal>; COLUMNS] = [vec![None], vec![None]];
        for (column, path) in values.iter_mut().zip(&look.columns) {
            path.each_text(event, &mut |text| column.push(Some(text.into())));
        }
        let [first, second] = &values;
        for one in first {
            for two in second {
                let key = (one.as_deref(), two.as_deref());
                let hash = self.hash(event.workspace, kind, &look.trigger_kind, key);
                let hits = self.entries.get(&hash).into_iter().flatten();
                let hits = hits.filter(|entry| entry.rule.workspace == event.workspace);
                found.extend(hits.map(|entry| (Arc::clone(&entry.rule), entry.trigger)));
            }
        }
    }
}

#[cfg(test)]
impl RuleIndex {
    /// As if what a rule is found by had the hash of what an event is looked up by.
    pub(super) fn collide(&mut self, rule: Arc<CompiledRule>, event: &Event, trigger_kind: &str) {
        let hash = self.hash(event.workspace, &event.kind, trigger_kind, (None, None));
        let entry = Entry { rule, trigger: 0 };
        self.entries.entry(hash).or_default().push(entry);
    }
}

fn look_of<'l>(looks: &'l mut Vec<Look>, trigger: &CompiledTrigger) -> &'l mut Look {
    let place = looks
        .iter()
        .position(|look| look.trigger_kind == trigger.kind);
    let place = place.unwrap_or_else(|| {
        looks.push(Look {
            trigger_kind: trigger.kind.clone(),
            columns: trigger
                .picks
                .iter()
                .take(COLUMNS)
                .map(|pick| pick.field.clone())
                .collect(),
            triggers: 0,
        });
        looks.len() - 1
    });
    &mut looks[place]
}

fn borrowed(key: &[Literal; COLUMNS]) -> (Option<&str>, Option<&str>) {
    (key[0].as_deref(), key[1].as_deref())
}

/// The keys under which a trigger is filed: each literal of each column.
fn keys_of(trigger: &CompiledTrigger) -> Vec<[Literal; COLUMNS]> {
    let column = |number: usize| -> Vec<Literal> {
        let literals = trigger
            .picks
            .get(number)
            .map(|pick: &Pick| pick.literals.as_slice());
        match literals {
            Some(literals) if !literals.is_empty() => literals.iter().cloned().map(Some).collect(),
            _ => vec![None],
        }
    };
    let (first, mut second) = (column(0), column(1));
    if first.len() * second.len() > MAX_KEYS {
        second = vec![None];
    }
    let mut keys: Vec<[Literal; COLUMNS]> = Vec::with_capacity(first.len() * second.len());
    for one in &first {
        keys.extend(second.iter().map(|two| [one.clone(), two.clone()]));
    }
    keys.sort_unstable();
    keys.dedup();
    keys
}
