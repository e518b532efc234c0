//! Why a rule started on an event, or did not; asked later, answered from what was kept.
//!
//! Owns the order of the clauses and the sentence. Must not change anything: it reads. Invariant: an answer about a
//! candidate is taken from the version that decided, the event, and the facts that were recorded with the decision.

mod gates;
mod span;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde_json::Value;
use so_model::{
    Timestamp,
    event::Event,
    id::{EventId, PostId, RuleId, WorkspaceId},
    run::{Run, Verdict},
    way::StartLetGo,
    why::{Clause, ClauseKind, Recorded, Why, WhyOutcome, WhyPost},
};
use so_store::{
    Store, StoreError,
    decisions::{self, StoredDecision},
    events,
    rules::{self, RuleHistory},
    run_ways,
    runs::{self, RunFilter},
};

use crate::{
    decide::{CompiledRule, DecisionInput, FactValues, WorkspaceFacts, spoken},
    engine::Engine,
};

pub(crate) use gates::{clause as gate_clause, triggers as triggers_clause};
pub use span::{SPAN_MAX, SpanError};

/// Events about one post that are looked at.
const POST_EVENTS_MAX: i64 = 50;
/// What is said of a start whose run is gone.
const LET_GO: &str = "It started. The run was an ordinary one and was let go, so what its condition saw is not known \
                      any more; the ways of the rule tell how it went.";
/// Runs of one event and rule: a rule starts once on an event.
const RUNS_MAX: i64 = 1;

/// What is asked about is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Missing {
    /// No such event in the workspace.
    #[error("there is no such event")]
    Event,
    /// No such rule in the workspace, and there never was.
    #[error("there is no such rule")]
    Rule,
}

/// What is known of a rule while it is asked about.
pub(super) struct Asked {
    pub history: RuleHistory,
    pub workspace: Arc<WorkspaceFacts>,
}

/// What was kept about an event and a rule.
enum Kept {
    Run(Box<Run>),
    /// The run was ordinary and was let go.
    LetGo(Box<StartLetGo>),
    Decision(Box<StoredDecision>),
    Nothing,
}

impl Engine {
    /// Why a rule started on an event, or did not.
    pub async fn why(
        &self,
        workspace: WorkspaceId,
        event: EventId,
        rule: RuleId,
    ) -> Result<Result<Why, Missing>, StoreError> {
        let mut reader = self.store.clone();
        let Some(event) = events::find(&mut reader, workspace, event).await? else {
            return Ok(Err(Missing::Event));
        };
        let Some(asked) = self.asked(&mut reader, workspace, rule).await? else {
            return Ok(Err(Missing::Rule));
        };
        self.why_of(&mut reader, &asked, &Arc::new(event))
            .await
            .map(Ok)
    }

    /// What a rule made of everything that happened to a post.
    pub async fn why_post(
        &self,
        workspace: WorkspaceId,
        post: PostId,
        rule: RuleId,
    ) -> Result<Result<WhyPost, Missing>, StoreError> {
        let mut reader = self.store.clone();
        let Some(asked) = self.asked(&mut reader, workspace, rule).await? else {
            return Ok(Err(Missing::Rule));
        };
        let subject = post.to_string();
        let mut found = events::list(
            &mut reader,
            workspace,
            "",
            &subject,
            "",
            POST_EVENTS_MAX + 1,
        )
        .await?;
        let is_cut = found.len() as i64 > POST_EVENTS_MAX;
        found.truncate(usize::try_from(POST_EVENTS_MAX).unwrap_or(usize::MAX));
        let mut answers = Vec::with_capacity(found.len());
        for event in found {
            answers.push(self.why_of(&mut reader, &asked, &Arc::new(event)).await?);
        }
        Ok(Ok(WhyPost {
            post,
            rule,
            text: post_sentence(&answers),
            rule_name: asked.history.rule.name,
            events: answers,
            is_cut,
        }))
    }

    pub(super) async fn asked(
        &self,
        reader: &mut Store,
        workspace: WorkspaceId,
        rule: RuleId,
    ) -> Result<Option<Asked>, StoreError> {
        let Some(history) = rules::history(reader, Some(workspace), rule).await? else {
            return Ok(None);
        };
        let workspace = self.workspace(workspace).await?;
        Ok(Some(Asked { history, workspace }))
    }

    pub(super) async fn why_of(
        &self,
        reader: &mut Store,
        asked: &Asked,
        event: &Arc<Event>,
    ) -> Result<Why, StoreError> {
        let row = &asked.history.rule;
        let stored = events::stored_at(reader, event.workspace, event.id).await?;
        let (stored_at, is_decided) = stored.unwrap_or((event.time, true));
        let kept = kept(reader, event, row.id).await?;
        let (at, version) = match &kept {
            Kept::Run(run) => (run.created_at, Some(run.version)),
            Kept::LetGo(start) => (start.at, Some(start.version)),
            Kept::Decision(stored) => (stored.at, Some(stored.decision.version)),
            Kept::Nothing => {
                let canary = self.canary_of(reader, row, event).await?;
                let canary = canary.filter(|canary| canary.started_at <= stored_at);
                let version = match canary {
                    Some(canary) => Some(canary.version),
                    None => rules::version_at(reader, event.workspace, row.id, stored_at).await?,
                };
                (stored_at, version)
            }
        };
        let mut why = Why {
            event: event.id,
            event_kind: event.kind.clone(),
            rule: row.id,
            rule_name: row.name.clone(),
            version,
            trigger: None,
            at,
            outcome: WhyOutcome::NotCandidate,
            verdict: None,
            run: None,
            text: String::new(),
            clauses: gates::presence(asked, &kept_is_there(&kept), at),
        };
        let compiled = match version {
            Some(version) => self
                .rule_version(event.workspace, row.id, version)
                .await?
                .ok(),
            None => None,
        };
        match (kept, compiled) {
            (Kept::Nothing, compiled) => {
                self.untried(&mut why, compiled.as_deref(), event, is_decided);
            }
            (Kept::Run(run), compiled) => {
                why.outcome = WhyOutcome::Started;
                why.verdict = Some(Verdict::Started);
                why.run = Some(run.id);
                why.trigger = Some(run.trigger.clone());
                if let Some(rule) = compiled {
                    self.explain_run(&mut why, asked, &rule, event, &run);
                }
                why.text = format!("It started: {}.", run.decision.text);
            }
            (Kept::LetGo(start), compiled) => {
                why.outcome = WhyOutcome::Started;
                why.verdict = Some(Verdict::Started);
                if let Some(rule) = compiled {
                    let trigger = trigger_of(&rule, &start.trigger);
                    why.clauses.push(gates::one_trigger(&rule, trigger, event));
                }
                why.trigger = Some(start.trigger);
                why.text = LET_GO.into();
            }
            (Kept::Decision(stored), compiled) => {
                why.outcome = WhyOutcome::Refused;
                why.verdict = Some(stored.decision.verdict);
                why.trigger = Some(stored.decision.trigger.clone());
                let seen = stored.seen.clone().unwrap_or_default();
                if let Some(rule) = &compiled {
                    let workspace = as_recorded(&asked.workspace, &seen);
                    explain_condition(&mut why, &workspace, rule, event, &seen);
                    let first_seen = match (&stored.decision.verdict, &seen.key) {
                        (Verdict::Duplicate, Some(key)) => {
                            let at = stored.at;
                            so_store::rule_keys::find_remembered(reader, row.id, key, at).await?
                        }
                        _ => None,
                    };
                    let zone = asked.workspace.time_zone;
                    why.clauses.extend(gates::after_condition(
                        rule, &stored, &seen, first_seen, zone,
                    ));
                }
                settle_refusal(&mut why, &stored);
            }
        }
        Ok(why)
    }

    /// Says why a rule was not tried, or that nothing was kept.
    fn untried(&self, why: &mut Why, rule: Option<&CompiledRule>, event: &Event, is_decided: bool) {
        if let Some(rule) = rule {
            why.clauses.push(gates::triggers(rule, event));
        }
        let failed = why
            .clauses
            .iter_mut()
            .find(|clause| clause.held == Some(false));
        if let Some(clause) = failed {
            clause.is_first = true;
            why.text = format!("It was not a candidate: {}.", clause.text);
        } else if !is_decided {
            why.outcome = WhyOutcome::Undecided;
            why.text = "The event waits to be decided; ask again in a moment.".into();
        } else {
            why.outcome = WhyOutcome::Unknown;
            why.text = "It would have been a candidate, but nothing was recorded: the record was removed with \
                        its time, or the process that decided did not know the rule yet."
                .into();
        }
    }

    fn explain_run(
        &self,
        why: &mut Why,
        asked: &Asked,
        rule: &CompiledRule,
        event: &Event,
        run: &Run,
    ) {
        let trigger = trigger_of(rule, &run.trigger);
        let none = FactValues::default();
        let input = DecisionInput::new(event, &asked.workspace, run.created_at, &none);
        let values = rule
            .condition()
            .map(|condition| condition.facts_of(&run.decision, &input.facts_for(rule, trigger)))
            .unwrap_or_default();
        let seen = Recorded {
            facts: values.into_iter().collect(),
            ..Recorded::default()
        };
        explain_condition(why, &asked.workspace, rule, event, &seen);
        clear_first(&mut why.clauses);
    }
}

async fn kept(reader: &mut Store, event: &Event, rule: RuleId) -> Result<Kept, StoreError> {
    let (of_event, of_rule) = (event.id.to_string(), rule.to_string());
    let filter = RunFilter {
        event: &of_event,
        rule: &of_rule,
        ..RunFilter::default()
    };
    let run = runs::list(reader, event.workspace, &filter, RUNS_MAX).await?;
    if let Some(run) = run.into_iter().next() {
        return Ok(Kept::Run(Box::new(run)));
    }
    let gone = run_ways::starts_on(reader, event.workspace, &[event.id]).await?;
    if let Some(start) = gone.into_iter().find(|start| start.rule == rule) {
        return Ok(Kept::LetGo(Box::new(start)));
    }
    let decided = decisions::list_for_event(reader, event.workspace, event.id).await?;
    let own = decided
        .into_iter()
        .filter(|stored| stored.decision.rule == rule);
    // Of several triggers the one that came furthest says most.
    Ok(own
        .max_by_key(|stored| stored.decision.verdict != Verdict::TriggerMismatch)
        .map_or(Kept::Nothing, |stored| Kept::Decision(Box::new(stored))))
}

fn kept_is_there(kept: &Kept) -> bool {
    !matches!(kept, Kept::Nothing)
}

/// The workspace as it was when the decision was taken.
fn as_recorded(now: &WorkspaceFacts, seen: &Recorded) -> WorkspaceFacts {
    let zone = seen.zone.as_deref().and_then(|zone| zone.parse().ok());
    WorkspaceFacts {
        id: now.id,
        name: seen.workspace.clone().unwrap_or_else(|| now.name.clone()),
        time_zone: zone.unwrap_or(now.time_zone),
    }
}

fn trigger_of(rule: &CompiledRule, id: &str) -> usize {
    let found = rule.triggers.iter().position(|trigger| trigger.id == id);
    found.unwrap_or(0)
}

/// Adds trigger and condition as they came out at the moment of the answer.
fn explain_condition(
    why: &mut Why,
    workspace: &WorkspaceFacts,
    rule: &CompiledRule,
    event: &Event,
    seen: &Recorded,
) {
    let trigger = trigger_of(rule, why.trigger.as_deref().unwrap_or_default());
    why.clauses.push(gates::one_trigger(rule, trigger, event));
    let values: FactValues = seen.facts.clone().into_iter().collect();
    let input = DecisionInput::new(event, workspace, why.at, &values);
    if why.verdict == Some(Verdict::LoopGuard) {
        why.clauses.push(gates::clause(
            "",
            ClauseKind::Chain,
            Some(false),
            "a chain of consequences that is short and goes in no circle",
            String::new(),
        ));
    }
    if let Some(condition) = rule.condition() {
        why.clauses
            .push(condition.weigh(&input.facts_for(rule, trigger)));
    }
}

/// Marks the clause that refused, by the stored verdict, and makes the sentence.
fn settle_refusal(why: &mut Why, stored: &StoredDecision) {
    let reason = &stored.decision.reason;
    let verdict = stored.decision.verdict;
    let by_condition = verdict == Verdict::ConditionFailed;
    let condition_failed = why
        .clauses
        .iter()
        .any(|clause| is_condition(clause.what) && clause.held == Some(false));
    if !(by_condition && condition_failed) {
        clear_first(&mut why.clauses);
        let wanted = gates::kind_of(verdict);
        if let Some(clause) = why.clauses.iter_mut().find(|clause| clause.what == wanted) {
            clause.held = Some(false);
            clause.is_first = true;
            if clause.text.is_empty() {
                clause.text.clone_from(reason);
            }
        }
    }
    let told = why.first().map(|clause| match &clause.error {
        Some(error) => format!("{}: {error}", clause.text),
        None => clause.text.clone(),
    });
    why.text = format!(
        "It did not start: {}.",
        told.unwrap_or_else(|| reason.clone())
    );
}

fn is_condition(what: ClauseKind) -> bool {
    use ClauseKind::{All, Any, Compare, Expr, Fact, Not, Time};
    matches!(what, All | Any | Not | Compare | Time | Fact | Expr)
}

fn clear_first(clauses: &mut [Clause]) {
    for clause in clauses {
        clause.is_first = false;
        clear_first(&mut clause.parts);
    }
}

fn post_sentence(answers: &[Why]) -> String {
    if answers.is_empty() {
        return "Nothing that happened to this post is recorded.".into();
    }
    let started = answers
        .iter()
        .filter(|why| why.outcome == WhyOutcome::Started)
        .count();
    if started > 0 {
        return format!("It started {} on this post.", times(started as u64));
    }
    let tried = answers
        .iter()
        .find(|why| why.outcome == WhyOutcome::Refused)
        .or(answers.first());
    let count = answers.len();
    let events = if count == 1 { "event" } else { "events" };
    match tried {
        Some(why) => format!(
            "It started on none of {count} {events} about this post. On {}: {}",
            why.event_kind, why.text
        ),
        None => String::new(),
    }
}

fn times(count: u64) -> String {
    match count {
        1 => "once".into(),
        2 => "twice".into(),
        more => format!("{more} times"),
    }
}

/// A moment on the clocks of a zone, to the minute.
pub(crate) fn moment_words(at: Timestamp, zone: chrono_tz::Tz) -> String {
    let local = at.to_chrono().with_timezone(&zone);
    format!("{} {}", local.format("%Y-%m-%d %H:%M"), zone.name())
}

/// `12 minutes later`.
fn later(micros: i64) -> String {
    format!("{} later", spoken(micros))
}

fn no_value() -> Value {
    Value::Null
}
