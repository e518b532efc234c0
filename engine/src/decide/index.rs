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
    workspaces: HashMap<WorkspaceId, HashMap<String, Vec<Bucket>>>,
    rules: HashMap<RuleId, Arc<CompiledRule>>,
    canaries: Option<Box<Canaries>>,
    hasher: RandomState,
}

/// Triggers of one kind for one event kind: they read the same event fields.
#[derive(Debug)]
struct Bucket {
    trigger_kind: String,
    columns: Vec<Field>,
    entries: HashMap<u64, Vec<Entry>>,
}

#[derive(Debug)]
struct Entry {
    key: [Literal; COLUMNS],
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
        let kinds = self.workspaces.entry(rule.workspace).or_default();
        for (number, trigger) in rule.triggers.iter().enumerate() {
            for kind in &trigger.event_kinds {
                let buckets = kinds.entry(kind.clone()).or_default();
                let bucket = bucket_of(buckets, trigger);
                for key in keys_of(trigger) {
                    let hash = self.hasher.hash_one(borrowed(&key));
                    bucket.entries.entry(hash).or_default().push(Entry {
                        key,
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
        let Some(kinds) = self.workspaces.get_mut(&old.workspace) else {
            return;
        };
        for trigger in &old.triggers {
            for kind in &trigger.event_kinds {
                let Some(buckets) = kinds.get_mut(kind) else {
                    continue;
                };
                for bucket in buckets
                    .iter_mut()
                    .filter(|bucket| bucket.trigger_kind == trigger.kind)
                {
                    for key in keys_of(trigger) {
                        let hash = self.hasher.hash_one(borrowed(&key));
                        if let Some(entries) = bucket.entries.get_mut(&hash) {
                            entries.retain(|entry| entry.rule.id != rule);
                            if entries.is_empty() {
                                bucket.entries.remove(&hash);
                            }
                        }
                    }
                }
                buckets.retain(|bucket| !bucket.entries.is_empty());
                if buckets.is_empty() {
                    kinds.remove(kind);
                }
            }
        }
        if kinds.is_empty() {
            self.workspaces.remove(&old.workspace);
        }
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
    pub(super) fn workspaces_are_empty(&self) -> bool {
        self.workspaces.is_empty() && self.rules.is_empty()
    }

    /// Triggers that may want the event, with their number in the rule, in the
    /// order of rule and trigger.
    pub fn candidates(&self, event: &Event) -> Vec<(Arc<CompiledRule>, usize)> {
        let mut found = Vec::new();
        let Some(kinds) = self.workspaces.get(&event.workspace) else {
            return found;
        };
        for kind in [event.kind.as_str(), ANY_EVENT_KIND] {
            for bucket in kinds.get(kind).into_iter().flatten() {
                self.look_up(bucket, event, &mut found);
            }
        }
        if let Some(canaries) = &self.canaries {
            canaries.take_over(event, &mut found);
        }
        found.sort_unstable_by_key(|(rule, trigger)| (rule.id, *trigger));
        found.dedup_by_key(|(rule, trigger)| (rule.id, *trigger));
        found
    }

    fn look_up(&self, bucket: &Bucket, event: &Event, found: &mut Vec<(Arc<CompiledRule>, usize)>) {
        let mut values: [Vec<Literal>; COLUMNS] = [vec![None], vec![None]];
        for (column, path) in values.iter_mut().zip(&bucket.columns) {
            path.each_text(event, &mut |text| column.push(Some(text.into())));
        }
        let [first, second] = &values;
        for one in first {
            for two in second {
                let key = (one.as_deref(), two.as_deref());
                let entries = bucket.entries.get(&self.hasher.hash_one(key));
                let right = |entry: &&Entry| borrowed(&entry.key) == key;
                let hits = entries.into_iter().flatten().filter(right);
                found.extend(hits.map(|entry| (Arc::clone(&entry.rule), entry.trigger)));
            }
        }
    }
}

fn bucket_of<'b>(buckets: &'b mut Vec<Bucket>, trigger: &CompiledTrigger) -> &'b mut Bucket {
    let place = buckets
        .iter()
        .position(|bucket| bucket.trigger_kind == trigger.kind);
    let place = place.unwrap_or_else(|| {
        buckets.push(Bucket {
            trigger_kind: trigger.kind.clone(),
            columns: trigger
                .picks
                .iter()
                .take(COLUMNS)
                .map(|pick| pick.field.clone())
                .collect(),
            entries: HashMap::new(),
        });
        buckets.len() - 1
    });
    &mut buckets[place]
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
