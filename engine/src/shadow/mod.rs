//! Shadows: a candidate of a rule, tried on the events that really happen, without effects.
//!
//! Owns the loop that follows the events, behind their admission and outside its transaction. Must not touch a live
//! run. Invariants: every event is counted once, whatever dies, for the counts and the place in the events are one
//! commit; a shadow costs an event nothing, because it reads what was recorded some seconds later.

mod compare;
mod effects;
mod moments;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use so_model::{
    Timestamp,
    event::Event,
    id::EventId,
    rule::RuleDocument,
    shadow::{ShadowDifference, ShadowOutcome},
    time::{MINUTE, SECOND},
};
use so_store::{StoreError, events, rule_shadows, rule_shadows::RuleShadow, rules, script_library};
use tokio_util::sync::CancellationToken;

use crate::{decide::CompiledRule, engine::Engine, script::mentioned};
use moments::Schedules;

/// Shadows are looked at this often; with none that is one query.
const EVERY: Duration = Duration::from_secs(5);
/// Shadows that one turn moves.
const SHADOWS: i64 = 20;
/// Events that one turn reads for a shadow.
const EVENTS: i64 = 200;
/// Dry runs of one turn and shadow: each holds the writer of SQLite for a moment.
const REHEARSALS: usize = 20;
/// An event younger than this may still be in its own transaction's hands, and one with a smaller id may follow.
const AGE: i64 = 10 * SECOND;
/// An event that nobody decides is waited for so long.
const PATIENCE: i64 = 10 * MINUTE;
/// Whoever moves a shadow has it for so long; a turn takes a second.
const LEASE: i64 = MINUTE;

/// The two versions, and what they have in common.
struct Pair {
    live: Arc<CompiledRule>,
    candidate: Arc<CompiledRule>,
    same_condition: bool,
    same_steps: bool,
    /// Mode, throttle, debounce, dedupe and limits.
    same_gates: bool,
    /// The candidate has none of these.
    free_candidate: bool,
    live_moments: Schedules,
    candidate_moments: Schedules,
}

impl Pair {
    fn of(
        engine: &Engine,
        live: Arc<CompiledRule>,
        candidate: Arc<CompiledRule>,
        zone: &str,
    ) -> Self {
        let (one, other) = (&live.document, &candidate.document);
        let free = {
            let bare = RuleDocument {
                mode: so_model::rule::Mode::default(),
                throttle: None,
                debounce: None,
                dedupe: None,
                limits: so_model::rule::Limits::default(),
                ..(**other).clone()
            };
            bare == **other
        };
        Self {
            same_condition: one.condition == other.condition,
            same_steps: one.steps == other.steps,
            same_gates: one.mode == other.mode
                && one.throttle == other.throttle
                && one.debounce == other.debounce
                && one.dedupe == other.dedupe
                && one.limits == other.limits,
            free_candidate: free,
            live_moments: Schedules::of(one, &engine.plugins, zone),
            candidate_moments: Schedules::of(other, &engine.plugins, zone),
            live,
            candidate,
        }
    }

    /// Whether the candidate's schedule has the moment of a schedule's event.
    fn candidate_is_due(&self, event: &Event) -> bool {
        let trigger = event.data["trigger"].as_str().unwrap_or_default();
        self.candidate_moments.has(trigger, event.time)
    }
}

pub(crate) async fn run(engine: Engine, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            () = tokio::time::sleep(EVERY) => {}
        }
        if let Err(error) = engine.move_shadows().await {
            tracing::warn!(%error, "shadows of rules were not compared");
        }
    }
}

impl Engine {
    /// Compares every shadow with what happened since the last turn; answers how many were moved.
    pub async fn move_shadows(&self) -> Result<usize, StoreError> {
        let mut moved = 0;
        let free = rule_shadows::list_free(&mut self.store.clone(), self.now(), SHADOWS).await?;
        for shadow in free {
            match self.move_shadow(shadow).await {
                Ok(is_moved) => moved += usize::from(is_moved),
                // One shadow must not keep the others from anything.
                Err(error) if !error.is_transient() => {
                    tracing::warn!(%error, "a shadow of a rule was not compared");
                }
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    async fn move_shadow(&self, mut shadow: RuleShadow) -> Result<bool, StoreError> {
        let now = self.now();
        let mut tx = self.store.begin().await?;
        if !rule_shadows::claim(&mut tx, &shadow, now, now.plus(LEASE)).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        crate::failpoint::hit("shadow.claim.commit");
        tx.commit().await?;
        shadow.generation += 1;
        let mut moved = shadow.clone();
        let (shadow, differences) = match self.compare_all(&mut moved, now).await {
            Ok(differences) => (moved, differences),
            // It would fail again each time, and nobody would see why nothing is compared.
            Err(error) if lasts(&error) => {
                tracing::warn!(%error, rule.id = %shadow.rule, "a shadow of a rule ends");
                shadow.problem = Some(format!("it cannot be compared: {error}"));
                (shadow, Vec::new())
            }
            Err(error) => return Err(error),
        };
        let mut tx = self.store.begin().await?;
        // It was ended, or another process took it over: whatever was found here counts nowhere.
        if !rule_shadows::advance(&mut tx, &shadow).await? {
            tx.rollback().await?;
            return Ok(false);
        }
        rule_shadows::add_differences(&mut tx, shadow.workspace, shadow.rule, &differences).await?;
        crate::failpoint::hit("shadow.advance.commit");
        tx.commit().await?;
        self.announce(shadow.workspace, "rule", shadow.rule);
        Ok(true)
    }

    async fn compare_all(
        &self,
        shadow: &mut RuleShadow,
        now: Timestamp,
    ) -> Result<Vec<ShadowDifference>, StoreError> {
        match self.pair(shadow).await? {
            Ok(pair) => self.follow(shadow, &pair, now).await,
            Err(problem) => {
                shadow.problem = Some(problem);
                Ok(Vec::new())
            }
        }
    }

    /// The two versions, or why they are not compared any further.
    async fn pair(&self, shadow: &RuleShadow) -> Result<Result<Pair, String>, StoreError> {
        let mut reader = self.store.clone();
        let Some(row) = rules::find(&mut reader, shadow.workspace, shadow.rule).await? else {
            return Ok(Err("the rule was deleted".into()));
        };
        if row.version != shadow.base_version {
            let reason = format!("version {} went live meanwhile", row.version);
            return Ok(Err(reason));
        }
        if !row.is_enabled {
            return Ok(Err("the rule was switched off".into()));
        }
        let revision = script_library::revision(&mut reader, shadow.workspace).await?;
        let document = serde_json::to_value(&shadow.document).unwrap_or_default();
        if revision != shadow.library_revision && !mentioned(&document).is_empty() {
            return Ok(Err("the script library changed meanwhile".into()));
        }
        let live = self
            .rule_version(shadow.workspace, row.id, row.version)
            .await?;
        let live = match live {
            Ok(live) => live,
            Err(reason) => return Ok(Err(format!("the live version cannot be run: {reason}"))),
        };
        let scripts = self.scripts_at(shadow.workspace, revision).await?;
        let candidate = CompiledRule::compile(
            row.id,
            shadow.workspace,
            0,
            Arc::new(shadow.document.clone()),
            self.plugins.catalogue(),
            &scripts,
        );
        let candidate = match candidate {
            Ok(candidate) => Arc::new(candidate),
            Err(errors) => {
                let reason = errors
                    .first()
                    .map_or_else(String::new, |error| error.reason.clone());
                return Ok(Err(format!("the candidate cannot be run: {reason}")));
            }
        };
        let workspace = self.workspace(shadow.workspace).await?;
        Ok(Ok(Pair::of(
            self,
            live,
            candidate,
            workspace.time_zone.name(),
        )))
    }

    /// Goes through the events and moments since the last turn.
    async fn follow(
        &self,
        shadow: &mut RuleShadow,
        pair: &Pair,
        now: Timestamp,
    ) -> Result<Vec<ShadowDifference>, StoreError> {
        let mut found = Vec::new();
        let mut until = now.plus(-AGE);
        let workspace = self.workspace(shadow.workspace).await?;
        let mut reader = self.store.clone();
        let last = EventId::from_parts(until, [u8::MAX; 10]);
        let after = shadow.progress.after_event.clone();
        let happened =
            events::list_after(&mut reader, shadow.workspace, &after, last, EVENTS).await?;
        let is_full = i64::try_from(happened.len()).is_ok_and(|count| count >= EVENTS);
        let mut rehearsals = 0;
        for (event, stored_at, is_decided) in happened {
            if !is_decided && stored_at.plus(PATIENCE) > now || rehearsals >= REHEARSALS {
                // Whatever lies behind it was not looked at either.
                until = until.min(before(event.id));
                break;
            }
            let event = Arc::new(event);
            let compared = self
                .compare(&mut reader, pair, &event, stored_at, &workspace)
                .await?;
            shadow.progress.after_event = event.id.to_string();
            let Some(compared) = compared else { continue };
            rehearsals += compared.rehearsals;
            note(shadow, &mut found, compared.outcome, stored_at, |seq| {
                ShadowDifference {
                    seq,
                    outcome: compared.outcome,
                    at: stored_at,
                    event: Some(event.id),
                    what: event.kind.clone(),
                    because: compared.because,
                    path: compared.path,
                }
            });
        }
        // There may be more, of the same millisecond as well.
        if is_full && let Ok(last) = shadow.progress.after_event.parse() {
            until = until.min(before(last));
        }
        let from = shadow.progress.seen_until;
        let (moments, looked_until) = moments::only_candidate(
            &pair.live_moments,
            &pair.candidate_moments,
            from,
            until.max(from),
        );
        for (at, trigger) in moments {
            let outcome = ShadowOutcome::OnlyCandidate;
            note(shadow, &mut found, outcome, at, |seq| ShadowDifference {
                seq,
                outcome,
                at,
                event: None,
                because: "the live version's schedule has no such moment".into(),
                path: "/triggers".into(),
                what: trigger,
            });
        }
        shadow.progress.seen_until = looked_until;
        Ok(found)
    }
}

/// The last moment of which every event has a smaller id.
fn before(id: EventId) -> Timestamp {
    // The first 48 bits are the milliseconds of its making.
    let millis = i64::try_from(id.uuid().as_u128() >> 80).unwrap_or(i64::MAX / 1_000);
    Timestamp::from_micros(millis * 1_000 - 1)
}

/// Trying again later does not help: a row that cannot be read, a statement that is refused.
fn lasts(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt { .. }
            | StoreError::Refused(_)
            | StoreError::NotAllowed(_)
            | StoreError::Vault(_)
    )
}

fn note(
    shadow: &mut RuleShadow,
    found: &mut Vec<ShadowDifference>,
    outcome: ShadowOutcome,
    at: Timestamp,
    made: impl FnOnce(i64) -> ShadowDifference,
) {
    let progress = &mut shadow.progress;
    progress.counts.count(outcome);
    if outcome == ShadowOutcome::Same {
        progress.same_at = progress.same_at.max(Some(at));
        return;
    }
    progress.differed_at = progress.differed_at.max(Some(at));
    found.push(made(progress.counts.listed()));
}
