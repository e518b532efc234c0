//! Facts as they were at a moment of the past.
//!
//! Owns what is derived, and from what. Invariant: a fact that neither was recorded nor follows from what is known is
//! missing, never guessed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};
use so_model::{
    Timestamp,
    id::{AccountId, EventId, RuleId},
    time::HOUR,
    why::Recorded,
};

use super::gates::Gates;
use crate::{decide::FactRequest, facts::HOURS_DEFAULT};

/// Publications by account, in order; true of the first part of a post.
pub type Published = HashMap<AccountId, Vec<(Timestamp, bool)>>;

/// What is known of the past.
pub(super) struct Past {
    /// Since when publications are known.
    since: Timestamp,
    /// Publications.
    published: Published,
    /// Recorded values of events that are about to be decided, by rule.
    seen: HashMap<EventId, HashMap<RuleId, BTreeMap<String, Value>>>,
}

impl Past {
    pub(super) fn new(published: Published, since: Timestamp) -> Self {
        Self {
            since,
            published,
            seen: HashMap::new(),
        }
    }

    /// What decisions about an event looked at.
    pub(super) fn note(&mut self, event: EventId, seen: Vec<(RuleId, Recorded)>) {
        for (rule, seen) in seen {
            if !seen.facts.is_empty() {
                self.seen.entry(event).or_default().insert(rule, seen.facts);
            }
        }
    }

    /// The event was decided, by all rules.
    pub(super) fn forget(&mut self, event: EventId) {
        if !self.seen.is_empty() {
            self.seen.remove(&event);
        }
    }

    /// Events that are not decided yet.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.seen.len()
    }

    /// A fact's value at a moment; none if it is not known.
    ///
    /// What the decision about this very event saw is known best.
    pub(super) fn fact(
        &self,
        request: &FactRequest,
        (event, rule): (EventId, RuleId),
        gates: &Gates,
        first: Timestamp,
        now: Timestamp,
    ) -> Option<Value> {
        let of = &request.params;
        let hours = of["hours"].as_i64().unwrap_or(HOURS_DEFAULT);
        let since = now.plus(-hours.clamp(1, 8760) * HOUR);
        let recorded = || {
            let seen = self.seen.get(&event)?.get(&rule)?;
            seen.get(&request.key).cloned()
        };
        match request.fact.as_str() {
            // What the rule did is another thing in the simulation.
            "rule_runs" if since >= first => Some(json!(gates.started_since(rule, since))),
            "posts_published" if since >= self.since => {
                let account: AccountId = of["account"].as_str()?.parse().ok()?;
                let moments = self.published.get(&account).map_or(&[][..], Vec::as_slice);
                let within = moments
                    .iter()
                    .filter(|(at, is_first)| *is_first && *at >= since && *at <= now);
                Some(json!(within.count()))
            }
            // A list that was cut may lack the last one.
            "last_published_hours" if self.since <= now => {
                let account: AccountId = of["account"].as_str()?.parse().ok()?;
                let moments = self.published.get(&account).map_or(&[][..], Vec::as_slice);
                let before = moments.partition_point(|(at, _)| *at <= now);
                let last = before.checked_sub(1).and_then(|last| moments.get(last));
                match last {
                    Some((at, _)) => Some(json!(now.since(*at) as f64 / HOUR as f64)),
                    None => recorded(),
                }
            }
            _ => recorded(),
        }
    }
}
