//! Why a rule did not start in a span of time.
//!
//! Owns the sentence over many events, and the moments of schedules around the span. Invariant: what is looked at is
//! bounded, and an answer says so when there was more.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::Arc,
};

use so_model::{
    Timestamp,
    event::{Event, kind},
    id::{EventId, RuleId, RunId, WorkspaceId},
    time::DAY,
    why::{WhyCount, WhyLine, WhyOutcome, WhySchedule, WhySpan, WhySwitch},
};
use so_store::{Store, StoreError, decisions, events, rules, run_ways, runs};

use super::{Asked, Missing, gates, moment_words, times};
use crate::{
    decide::CompiledRule, engine::Engine, rule::ANY_EVENT_KIND, schedule::CompiledSchedule,
};

/// Longest span that is looked at.
pub const SPAN_MAX: i64 = 31 * DAY;
/// Events that are looked at.
const EVENTS_MAX: usize = 200;
/// Moments of a schedule that are told.
const MOMENTS_MAX: usize = 20;
/// Moments walked over to find the last one before the span.
const MOMENTS_WALKED_MAX: usize = 3_000;
/// Spans before the begin in which the last moment is looked for, the nearest first.
const BEFORE: [i64; 4] = [DAY / 24, DAY, 35 * DAY, 400 * DAY];
/// What is said of a start whose run is gone.
const LET_GO: &str = "it started; the run was ordinary and was let go";
/// Versions of the rule that were live within the span; an author saves rarely more often.
const VERSIONS_MAX: i64 = 50;

/// Why a span cannot be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SpanError {
    /// What is asked about is not there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It ends before it begins.
    #[error("the span ends before it begins")]
    Backwards,
    /// It is longer than [`SPAN_MAX`].
    #[error("the span is longer than 31 days")]
    TooLong,
}

/// Versions that were live, with the moment since when, and those that were tried beside them.
type Versions = (Vec<(Timestamp, Arc<CompiledRule>)>, Vec<Arc<CompiledRule>>);

impl Engine {
    /// Why a rule did not start in a span, or how often it did.
    pub async fn why_span(
        &self,
        workspace: WorkspaceId,
        rule: RuleId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Result<WhySpan, SpanError>, StoreError> {
        if until < from {
            return Ok(Err(SpanError::Backwards));
        }
        if until.since(from) > SPAN_MAX {
            return Ok(Err(SpanError::TooLong));
        }
        let mut reader = self.store.clone();
        let Some(asked) = self.asked(&mut reader, workspace, rule).await? else {
            return Ok(Err(Missing::Rule.into()));
        };
        let (versions, tried) = self.versions_in(&mut reader, &asked, from, until).await?;
        let listening = versions.iter().map(|(_, rule)| rule).chain(&tried);
        let (found, is_cut) = listened(&mut reader, workspace, listening, from, until).await?;
        let lines = self
            .lines(&mut reader, &asked, &versions, found, from, until)
            .await?;
        let row = &asked.history.rule;
        let in_span = |at: &Timestamp| from <= *at && *at <= until;
        let mut counts: BTreeMap<WhyOutcome, u64> = BTreeMap::new();
        for line in &lines {
            *counts.entry(line.outcome).or_default() += 1;
        }
        let newest = versions.last().map(|(_, rule)| rule.clone());
        let mut span = WhySpan {
            rule,
            rule_name: row.name.clone(),
            from,
            until,
            text: String::new(),
            created_at: row.created_at,
            deleted_at: asked.history.deleted_at,
            was_enabled: asked.history.was_enabled(from),
            switches: asked
                .history
                .switches
                .iter()
                .filter(|(at, _)| in_span(at) && *at > row.created_at)
                .map(|(at, is_enabled)| WhySwitch {
                    at: *at,
                    is_enabled: *is_enabled,
                })
                .collect(),
            schedules: newest
                .map_or_else(Vec::new, |rule| self.schedules(&asked, &rule, from, until)),
            missed: missed(&mut reader, workspace, rule, from, until).await?,
            counts: counts
                .into_iter()
                .map(|(outcome, events)| WhyCount { outcome, events })
                .collect(),
            events: lines,
            is_cut,
        };
        span.text = sentence(&span, &asked);
        Ok(Ok(span))
    }

    /// The versions that were live at the begin or later, each with the moment since when, and those of them that were
    /// tried beside a live one.
    async fn versions_in(
        &self,
        reader: &mut Store,
        asked: &Asked,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Versions, StoreError> {
        let row = &asked.history.rule;
        let (mut found, mut tried) = (Vec::new(), Vec::new());
        for version in rules::list_versions(reader, row.workspace, row.id, VERSIONS_MAX).await? {
            if version.created_at > until {
                continue;
            }
            let rule = self
                .rule_version(row.workspace, row.id, version.version)
                .await?;
            match rule {
                Ok(rule) if version.is_trial => tried.push(rule),
                Ok(rule) => found.push((version.created_at, rule)),
                Err(_) => {}
            }
            if version.created_at <= from && !version.is_trial {
                break;
            }
        }
        found.reverse();
        Ok((found, tried))
    }

    async fn lines(
        &self,
        reader: &mut Store,
        asked: &Asked,
        versions: &[(Timestamp, Arc<CompiledRule>)],
        found: Vec<Event>,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<WhyLine>, StoreError> {
        let row = &asked.history.rule;
        // Decided in the same transaction, but a clock may have gone on a little meanwhile.
        let until = until.plus(DAY);
        let limit = EVENTS_MAX as i64 * 2;
        let started: HashMap<EventId, RunId> =
            runs::list_between(reader, row.workspace, row.id, from, until, limit)
                .await?
                .into_iter()
                .map(|run| (run.event, run.id))
                .collect();
        let ids: Vec<EventId> = found.iter().map(|event| event.id).collect();
        let refused: HashMap<EventId, String> =
            decisions::list_for_rule_and_events(reader, row.workspace, row.id, &ids)
                .await?
                .into_iter()
                .map(|stored| (stored.event, stored.decision.reason))
                .collect();
        let gone: HashSet<EventId> = run_ways::starts_on(reader, row.workspace, &ids)
            .await?
            .into_iter()
            .filter(|start| start.rule == row.id)
            .map(|start| start.event)
            .collect();
        let mut lines = Vec::with_capacity(found.len());
        for event in found {
            let stored = events::stored_at(reader, event.workspace, event.id).await?;
            let (at, _) = stored.unwrap_or((event.time, true));
            let run = started.get(&event.id).copied();
            let (outcome, text) = match (run, refused.get(&event.id)) {
                (Some(_), _) => (WhyOutcome::Started, "it started".to_owned()),
                (None, _) if gone.contains(&event.id) => (WhyOutcome::Started, LET_GO.to_owned()),
                (None, Some(reason)) => (WhyOutcome::Refused, reason.clone()),
                (None, None) => not_tried(asked, versions, &event, at, stored),
            };
            lines.push(WhyLine {
                event: event.id,
                kind: event.kind,
                subject: event.subject,
                at,
                outcome,
                text,
                run,
            });
        }
        Ok(lines)
    }

    fn schedules(
        &self,
        asked: &Asked,
        rule: &CompiledRule,
        from: Timestamp,
        until: Timestamp,
    ) -> Vec<WhySchedule> {
        let zone = asked.workspace.time_zone;
        let mut found = Vec::new();
        for trigger in &rule.document.triggers {
            let Some(plugin) = self.plugins.trigger(&trigger.kind) else {
                continue;
            };
            let Ok(Some(schedule)) = plugin.schedule(&trigger.with, zone.name()) else {
                continue;
            };
            let Ok(schedule) = schedule.compile() else {
                continue;
            };
            let within: Vec<Timestamp> = schedule
                .occurrences(from.micros() - 1, MOMENTS_MAX)
                .into_iter()
                .map(|at| Timestamp::from_micros(at.at_micros))
                .take_while(|at| *at <= until)
                .collect();
            let next = schedule
                .next_after(until.micros())
                .map(|at| Timestamp::from_micros(at.at_micros));
            let previous = last_before(&schedule, from);
            let told = |at: Option<Timestamp>| {
                at.map_or_else(|| "none".to_owned(), |at| moment_words(at, zone))
            };
            let text = match within.len() {
                0 => format!(
                    "no moment of its schedule lies in the span; the last before was {}, the next is {}",
                    told(previous),
                    told(next)
                ),
                MOMENTS_MAX.. => {
                    format!("{MOMENTS_MAX} or more moments of its schedule lie in the span")
                }
                1 => format!(
                    "one moment of its schedule lies in the span: {}",
                    told(within.first().copied())
                ),
                some => format!("{some} moments of its schedule lie in the span"),
            };
            found.push(WhySchedule {
                trigger: trigger.id.clone(),
                previous,
                within,
                next,
                text,
            });
        }
        found
    }
}

/// Events of the kinds that one of the versions listens to, the newest first.
async fn listened(
    reader: &mut Store,
    workspace: WorkspaceId,
    versions: impl Iterator<Item = &Arc<CompiledRule>>,
    from: Timestamp,
    until: Timestamp,
) -> Result<(Vec<Event>, bool), StoreError> {
    let triggers = versions.flat_map(|rule| &rule.triggers);
    let mut kinds: Vec<&str> = triggers
        .flat_map(|trigger| trigger.event_kinds.iter().map(String::as_str))
        .collect();
    kinds.sort_unstable();
    kinds.dedup();
    if kinds.contains(&ANY_EVENT_KIND) {
        kinds = vec![""];
    }
    let limit = EVENTS_MAX as i64 + 1;
    let mut found = Vec::new();
    for kind in kinds {
        found.extend(events::list_between(reader, workspace, kind, from, until, limit).await?);
    }
    found.sort_unstable_by_key(|event| std::cmp::Reverse(event.id));
    let is_cut = found.len() > EVENTS_MAX;
    found.truncate(EVENTS_MAX);
    Ok((found, is_cut))
}

fn not_tried(
    asked: &Asked,
    versions: &[(Timestamp, Arc<CompiledRule>)],
    event: &Event,
    at: Timestamp,
    stored: Option<(Timestamp, bool)>,
) -> (WhyOutcome, String) {
    let mut clauses = gates::presence(asked, &false, at);
    if let Some((_, rule)) = versions.iter().rfind(|(since, _)| *since <= at) {
        clauses.push(gates::triggers(rule, event));
    }
    match clauses
        .into_iter()
        .find(|clause| clause.held == Some(false))
    {
        Some(clause) => (WhyOutcome::NotCandidate, clause.text),
        None if stored.is_some_and(|(_, is_decided)| !is_decided) => (
            WhyOutcome::Undecided,
            "the event waits to be decided".into(),
        ),
        None => (WhyOutcome::Unknown, "nothing was recorded".into()),
    }
}

async fn missed(
    reader: &mut Store,
    workspace: WorkspaceId,
    rule: RuleId,
    from: Timestamp,
    until: Timestamp,
) -> Result<Vec<Timestamp>, StoreError> {
    let limit = EVENTS_MAX as i64;
    let found =
        events::list_between(reader, workspace, kind::TIME_MISSED, from, until, limit).await?;
    let rule = rule.to_string();
    Ok(found
        .into_iter()
        .filter(|event| event.data["rule"].as_str() == Some(rule.as_str()))
        .map(|event| event.time)
        .collect())
}

fn last_before(schedule: &CompiledSchedule, moment: Timestamp) -> Option<Timestamp> {
    for back in BEFORE {
        let mut last = None;
        let mut at = moment.plus(-back).micros();
        for _ in 0..MOMENTS_WALKED_MAX {
            match schedule.next_after(at) {
                Some(next) if next.at_micros < moment.micros() => {
                    at = next.at_micros;
                    last = Some(Timestamp::from_micros(at));
                }
                _ => break,
            }
        }
        if last.is_some() {
            return last;
        }
    }
    None
}

fn sentence(span: &WhySpan, asked: &Asked) -> String {
    let zone = asked.workspace.time_zone;
    let count = |wanted: WhyOutcome| {
        let found = span.counts.iter().find(|count| count.outcome == wanted);
        found.map_or(0, |count| count.events)
    };
    let started = count(WhyOutcome::Started);
    if started > 0 {
        return format!("It started {} in this span.", times(started));
    }
    if span.created_at > span.until {
        let at = moment_words(span.created_at, zone);
        return format!("It did not exist yet: it was saved at {at}.");
    }
    if let Some(deleted) = span.deleted_at.filter(|deleted| *deleted <= span.from) {
        return format!("It was deleted at {}.", moment_words(deleted, zone));
    }
    let stayed_off =
        span.was_enabled == Some(false) && span.switches.iter().all(|switch| !switch.is_enabled);
    if stayed_off {
        return "It was off for the whole span.".into();
    }
    if !span.missed.is_empty() {
        let missed = span.missed.len();
        return format!(
            "{missed} of its moments were missed and wait for a person, as its policy asks."
        );
    }
    if span.events.is_empty() {
        return match span.schedules.first() {
            Some(schedule) => format!("It did not start: {}.", schedule.text),
            None => "Nothing happened in this span that it listens to.".into(),
        };
    }
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    let refused = span
        .events
        .iter()
        .filter(|line| line.outcome == WhyOutcome::Refused);
    let lines: Vec<&WhyLine> = match count(WhyOutcome::Refused) {
        0 => span.events.iter().collect(),
        _ => refused.collect(),
    };
    for line in &lines {
        *reasons.entry(line.text.as_str()).or_default() += 1;
    }
    let most = reasons.into_iter().max_by_key(|(_, times)| *times);
    let told = most.map_or_else(String::new, |(reason, times)| match times {
        1 => reason.to_owned(),
        _ => format!("{reason} ({times} times)"),
    });
    let more = if span.is_cut { "more than " } else { "" };
    let (events, verb) = if span.events.len() == 1 {
        ("event", "was")
    } else {
        ("events", "were")
    };
    format!(
        "It started on none of {more}{} {events}; {} {verb} tried. Mostly: {told}.",
        span.events.len(),
        count(WhyOutcome::Refused)
    )
}
