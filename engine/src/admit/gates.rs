//! What may still keep a rule from starting: budget, throttle, dedupe, debounce.
//!
//! Invariant: a gate that counts locks its rule first, so that two processes
//! never both take the last place.

use serde_json::Value;
use so_model::{
    IdSource as _, Timestamp,
    event::Event,
    run::Verdict,
    time::{HOUR, SECOND},
    why::Recorded,
};
use so_store::{StoreError, Tx, rule_keys, rules, runs, timers, timers::Timer};

use super::{Desk, Keys, Refusal, refuse};
use crate::{
    config::RULE_RUNS_PER_HOUR_MAX, decide::CompiledRule, engine::Engine, schedule::parse_duration,
};

impl Engine {
    // Budget, dedupe, throttle and debounce, cheapest first.
    pub(super) async fn gates(
        &self,
        desk: &mut Desk<'_>,
        rule: &CompiledRule,
        event: &Event,
        keys: &Keys,
    ) -> Result<Option<Refusal>, StoreError> {
        let now = desk.now;
        let document = rule.document.clone();
        if !self.spend_start(rule.id, now) {
            let reason = said::budget();
            return Ok(Some(refuse(Verdict::OverBudget, reason)));
        }
        let is_counted = document.throttle.is_some()
            || document.limits.max_runs_per_hour.is_some()
            || document.dedupe.is_some()
            || document.debounce.is_some();
        if !is_counted {
            return Ok(None);
        }
        let tx = desk.settled(self).await?;
        if document.throttle.is_some() || document.limits.max_runs_per_hour.is_some() {
            rules::lock(tx, rule.id).await?;
        }
        if let Some(own) = document.limits.max_runs_per_hour {
            let max = i64::from(own).min(RULE_RUNS_PER_HOUR_MAX);
            if runs::count_since(tx, rule.workspace, rule.id, now.plus(-HOUR)).await? >= max {
                let reason = said::own_budget(max);
                return Ok(Some(refuse(Verdict::OverBudget, reason)));
            }
        }
        if let Some(throttle) = &document.throttle {
            let span = parse_duration(&throttle.per).unwrap_or(HOUR);
            if let Some((used, free_at)) = self
                .throttle_is_full(
                    tx,
                    rule,
                    event,
                    &keys.throttle,
                    i64::from(throttle.max),
                    span,
                    now,
                )
                .await?
            {
                let reason = said::throttle(throttle);
                let seen = Recorded {
                    key: key_of(&keys.throttle),
                    used: Some(used),
                    free_at,
                    ..Recorded::default()
                };
                return Ok(Some(refuse(Verdict::Throttled, reason).seeing(seen)));
            }
        }
        if let Some(dedupe) = &document.dedupe {
            let key = &keys.dedupe;
            let until = dedupe
                .within
                .as_deref()
                .and_then(|text| parse_duration(text).ok())
                .map(|span| now.plus(span));
            let is_first =
                rule_keys::remember(tx, event.workspace, rule.id, key, event.id, now, until)
                    .await?;
            if !is_first {
                let seen = Recorded {
                    key: key_of(key),
                    ..Recorded::default()
                };
                let reason = said::dedupe(key);
                return Ok(Some(refuse(Verdict::Duplicate, reason).seeing(seen)));
            }
        }
        if let Some(debounce) = &document.debounce {
            let span = parse_duration(&debounce.duration).unwrap_or(SECOND);
            self.debounce(tx, rule, event, &keys.debounce, now.plus(span), now)
                .await?;
            let reason = said::debounce(debounce);
            let seen = Recorded {
                key: key_of(&keys.debounce),
                ..Recorded::default()
            };
            return Ok(Some(refuse(Verdict::Debounced, reason).seeing(seen)));
        }
        Ok(None)
    }

    /// None when there was a place, which is taken now; else the starts counted and when there is one again.
    #[expect(
        clippy::too_many_arguments,
        reason = "a key, a bound and a span of one rule and event"
    )]
    async fn throttle_is_full(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        event: &Event,
        key: &str,
        max: i64,
        span: i64,
        now: Timestamp,
    ) -> Result<Option<(i64, Option<Timestamp>)>, StoreError> {
        let since = now.plus(-span);
        let (used, oldest) = rule_keys::count_ticks(tx, rule.id, key, since).await?;
        if used >= max {
            return Ok(Some((used, oldest.map(|oldest| oldest.plus(span)))));
        }
        rule_keys::add_tick(
            tx,
            rule.workspace,
            rule.id,
            key,
            event.id,
            now,
            now.plus(span),
        )
        .await?;
        Ok(None)
    }

    async fn debounce(
        &self,
        tx: &mut Tx,
        rule: &CompiledRule,
        event: &Event,
        key: &str,
        due_at: Timestamp,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        rule_keys::set_debounced(tx, event.workspace, rule.id, key, event.id, now).await?;
        let timer = Timer {
            id: self.ids.new_id(),
            workspace: event.workspace,
            kind: "debounce".into(),
            subject: rule.id.to_string(),
            slot: key.to_string(),
            generation: rule.version,
            due_at,
            doc: Value::Null,
        };
        timers::put(tx, &timer).await?;
        self.timers_changed.notify_one();
        Ok(())
    }
}

fn key_of(key: &str) -> Option<String> {
    (!key.is_empty()).then(|| key.to_owned())
}

/// What gates say when they refuse; simulations say the same.
pub(crate) mod said {
    use so_model::rule::{Debounce, Throttle};

    use crate::config::RULE_RUNS_PER_HOUR_MAX;

    /// The engine's own bound.
    pub(crate) fn budget() -> String {
        format!("the rule started {RULE_RUNS_PER_HOUR_MAX} times within this hour")
    }
    /// The rule's own bound.
    pub(crate) fn own_budget(max: i64) -> String {
        format!("the rule already ran {max} times within the last hour")
    }
    /// Too often.
    pub(crate) fn throttle(throttle: &Throttle) -> String {
        format!(
            "already {} runs within the last {}",
            throttle.max, throttle.per
        )
    }
    /// Seen before.
    pub(crate) fn dedupe(key: &str) -> String {
        format!("the key “{key}” was seen before")
    }
    /// Not yet.
    pub(crate) fn debounce(debounce: &Debounce) -> String {
        format!("waits {} for a later event", debounce.duration)
    }
}
