//! Moments of schedules compared: a pure function of two documents, a zone and a span.
//!
//! Invariant: a moment that both have at the same trigger is no difference, however their schedules are written.

use std::collections::BTreeMap;

use so_model::{rule::RuleDocument, time::Timestamp};

use crate::{plugin::Plugins, schedule::CompiledSchedule};

/// Moments of one span that are looked at; a longer span is looked at in parts.
const MOMENTS_MAX: usize = 200;

/// Schedules of a rule by the ids of their triggers.
pub(super) struct Schedules(BTreeMap<String, CompiledSchedule>);

impl Schedules {
    pub fn of(document: &RuleDocument, plugins: &Plugins, zone: &str) -> Self {
        let schedule = |trigger: &so_model::rule::Trigger| {
            let plugin = plugins.trigger(&trigger.kind)?;
            let schedule = plugin.schedule(&trigger.with, zone).ok()??;
            Some((trigger.id.clone(), schedule.compile().ok()?))
        };
        Self(document.triggers.iter().filter_map(schedule).collect())
    }

    /// Whether a trigger's schedule has a moment.
    pub fn has(&self, trigger: &str, at: Timestamp) -> bool {
        let schedule = self.0.get(trigger);
        let next = schedule.and_then(|schedule| schedule.next_after(at.micros() - 1));
        next.is_some_and(|next| next.at_micros == at.micros())
    }
}

/// Moments after `from` and up to `until` that the candidate has and the live version has not, the earliest first; and
/// the moment up to which was looked.
pub(super) fn only_candidate(
    live: &Schedules,
    candidate: &Schedules,
    from: Timestamp,
    until: Timestamp,
) -> (Vec<(Timestamp, String)>, Timestamp) {
    let mut found = Vec::new();
    let mut looked_until = until;
    let mut looked = 0;
    for (trigger, schedule) in &candidate.0 {
        let mut at = from.micros();
        while let Some(next) = schedule.next_after(at) {
            at = next.at_micros;
            let moment = Timestamp::from_micros(at);
            if moment > looked_until {
                break;
            }
            looked += 1;
            if looked > MOMENTS_MAX {
                looked_until = looked_until.min(Timestamp::from_micros(at - 1));
                break;
            }
            if !live.has(trigger, moment) {
                found.push((moment, trigger.clone()));
            }
        }
    }
    found.retain(|(moment, _)| *moment <= looked_until);
    found.sort();
    (found, looked_until.max(from))
}
