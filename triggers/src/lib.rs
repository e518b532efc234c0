//! What starts rules: one folder for each kind or family of kinds.
//!
//! Owns the trigger kinds' names, schemas, samples and schedules, the parsing
//! of feeds and the verification of webhooks. Never decides whether a rule
//! starts: that is the engine's. Invariant: every folder is in `all`.
//!
//! # Adding a trigger
//!
//! Make a folder with a `TriggerKind`, its sample and tests, and name it in
//! `all`. If it is time that starts it, answer a `Schedule`; otherwise say
//! which event kinds it listens to and what tells its events apart.

#![cfg_attr(test, allow(clippy::unwrap_used))]

use std::sync::Arc;

use so_engine::plugin::TriggerKind;

pub mod account_state;
pub mod feed;
pub mod feed_item;
pub mod house;
pub mod manual;
pub mod post_state;
pub mod queue_slot;
pub mod rule_called;
pub mod rule_silent;
pub mod run_failed;
mod spec;
pub mod time;
pub mod webhook;

/// Every trigger kind.
pub fn all() -> Vec<Arc<dyn TriggerKind>> {
    let mut kinds: Vec<Arc<dyn TriggerKind>> = vec![
        Arc::new(time::At),
        Arc::new(time::Cron),
        Arc::new(time::Every),
        Arc::new(time::Recurrence),
        Arc::new(queue_slot::QueueSlot),
        Arc::new(webhook::WebhookReceived),
        Arc::new(manual::Manual),
        Arc::new(rule_called::RuleCalled),
        Arc::new(rule_silent::RuleSilent),
        Arc::new(run_failed::RunFailed),
    ];
    kinds.extend(feed_item::kinds());
    kinds.extend(post_state::kinds());
    kinds.extend(account_state::kinds());
    kinds.extend(house::kinds());
    kinds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own_a_schema_and_a_sample() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in all() {
            let spec = kind.spec();
            assert!(
                seen.insert(spec.kind.clone()),
                "{} is listed twice",
                spec.kind
            );
            assert_eq!(spec.params_schema["type"], "object", "{}", spec.kind);
            assert_eq!(
                spec.params_schema["additionalProperties"], false,
                "{}",
                spec.kind
            );
            assert!(spec.sample_data.is_object(), "{} needs a sample", spec.kind);
            assert!(!spec.event_kinds.is_empty() && !spec.description.is_empty());
        }
        for wanted in [
            "time.at",
            "time.cron",
            "time.every",
            "time.recurrence",
            "queue.slot",
            "feed.item",
            "webhook.received",
            "manual",
            "post.due",
            "post.published",
            "account.reconnect_required",
            "run.failed",
            "rule.silent",
        ] {
            assert!(seen.contains(wanted), "{wanted} is missing");
        }
    }
}
