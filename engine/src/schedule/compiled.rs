//! Owns the search for what comes next, for every form of schedule.
//! Must not know how a form is written or expanded. Invariant: local times are searched in local
//! time and turned into instants by `zone` alone, never by a library's own idea of clock changes.

use super::cron::Cron;
use super::duration::{HOUR, MINUTE, parse_duration};
use super::recurrence::Recurrence;
use super::slots::Slots;
use super::zone::{self, parse_zone};
use super::{Decision, Occurrence, Schedule, ScheduleError};
use chrono::{Duration, NaiveDateTime};
use chrono_tz::Tz;
use std::collections::BTreeSet;

/// How far ahead a search looks: 40 years is the longest wait between two 29ths of February on
/// the same weekday, so nothing that fires at all fires more rarely.
pub(super) const HORIZON: Duration = Duration::days(40 * 366);
/// The most occurrences handed out at once: enough for a calendar page, bounded for the caller.
pub const MAX_OCCURRENCES: usize = 1_000;
/// The most slots looked at for a free one: a queue fuller than this is full.
pub const MAX_SLOTS_LOOKED_AT: usize = 10_000;
/// Longer than the largest step back on record (24 hours): a repeat of local time lies within.
const FOLD_WINDOW: i64 = 25 * HOUR;
/// Clock changes passed in one search by elapsed time; two a year for the whole horizon is 80.
const MAX_FOLDS: usize = 200;

/// A schedule that was checked and can be asked what comes next.
#[derive(Debug, Clone)]
pub struct CompiledSchedule {
    zone: Tz,
    form: Form,
}

#[derive(Debug, Clone)]
enum Form {
    At { at: i64, decision: Decision },
    Every { anchor: i64, every: i64 },
    Cron(Box<Cron>),
    Recurrence(Box<Recurrence>),
    Slots(Slots),
}

pub(super) fn compile(schedule: &Schedule) -> Result<CompiledSchedule, ScheduleError> {
    match schedule {
        Schedule::At { at, zone } => compile_at(at, zone.as_deref()),
        Schedule::Every { every, anchor } => compile_every(every, anchor.as_deref()),
        Schedule::Cron { expression, zone } => Ok(CompiledSchedule {
            zone: parse_zone("/zone", zone)?,
            form: Form::Cron(Box::new(Cron::compile(expression)?)),
        }),
        Schedule::Recurrence {
            rrule,
            start,
            zone,
            except,
            extra,
        } => {
            let zone = parse_zone("/zone", zone)?;
            let form = Recurrence::compile(rrule, start, zone, except, extra)?;
            Ok(CompiledSchedule {
                zone,
                form: Form::Recurrence(Box::new(form)),
            })
        }
        Schedule::Slots { zone, slots } => Ok(CompiledSchedule {
            zone: parse_zone("/zone", zone)?,
            form: Form::Slots(Slots::compile(slots)?),
        }),
    }
}

fn compile_at(at: &str, zone: Option<&str>) -> Result<CompiledSchedule, ScheduleError> {
    let named = zone.map(|name| parse_zone("/zone", name)).transpose()?;
    if let Some(at) = zone::parse_instant(at) {
        let zone = named.unwrap_or(Tz::UTC);
        let decision = zone::describe(zone, at);
        let form = Form::At { at, decision };
        return Ok(CompiledSchedule { zone, form });
    }
    let local = zone::parse_local("/at", at)?;
    let zone = named.ok_or_else(|| {
        ScheduleError::new(
            "/zone",
            "a local time without a zone is not an instant",
            "name the zone, or end the time with Z or an offset such as +02:00",
        )
    })?;
    let (at, decision) = zone::resolve(zone, local);
    let form = Form::At { at, decision };
    Ok(CompiledSchedule { zone, form })
}

fn compile_every(every: &str, anchor: Option<&str>) -> Result<CompiledSchedule, ScheduleError> {
    let every = parse_duration(every).map_err(|error| error.at("/every"))?;
    if every < MINUTE {
        return Err(ScheduleError::new(
            "/every",
            "a schedule fires at most once a minute",
            "use 1m or more",
        ));
    }
    let anchor = match anchor {
        None => 0,
        Some(text) => zone::parse_instant(text).ok_or_else(|| {
            ScheduleError::new(
                "/anchor",
                "the value is not an instant",
                "write it with Z or an offset, such as 2026-01-01T09:00:00Z",
            )
        })?,
    };
    Ok(CompiledSchedule {
        zone: Tz::UTC,
        form: Form::Every { anchor, every },
    })
}

impl CompiledSchedule {
    /// The name of the zone that occurrences are shown in.
    pub fn zone(&self) -> &'static str {
        self.zone.name()
    }

    /// The first occurrence strictly after an instant, or `None` when there is none in reach.
    pub fn next_after(&self, after_micros: i64) -> Option<Occurrence> {
        let after = zone::clamp(after_micros)?;
        let (at, decision) = match &self.form {
            Form::At { at, decision } => (*at > after).then(|| (*at, decision.clone())),
            Form::Every { anchor, every } => {
                Some((next_elapsed(*anchor, *every, after), Decision::Normal))
            }
            Form::Cron(cron) if cron.follows_elapsed_time() => {
                next_shown(self.zone, cron, after).map(|at| (at, zone::describe(self.zone, at)))
            }
            Form::Cron(cron) => next_resolved(self.zone, after, |local, limit| {
                cron.next_local(local, limit)
            }),
            Form::Recurrence(rule) => next_resolved(self.zone, after, |local, limit| {
                rule.next_local(local, limit)
            }),
            Form::Slots(slots) => {
                next_resolved(self.zone, after, |local, _| slots.next_local(local))
            }
        }?;
        Some(zone::occurrence(self.zone, at, decision))
    }

    /// The next occurrences after an instant, at most [`MAX_OCCURRENCES`].
    pub fn occurrences(&self, after_micros: i64, count: usize) -> Vec<Occurrence> {
        let mut after = after_micros;
        std::iter::from_fn(|| {
            let next = self.next_after(after)?;
            after = next.at_micros;
            Some(next)
        })
        .take(count.min(MAX_OCCURRENCES))
        .collect()
    }

    /// How many occurrences lie in `from..=to` when that is known without walking through them.
    pub(super) fn counted(&self, from: i64, to: i64) -> Option<u64> {
        let Form::Every { anchor, every } = &self.form else {
            return None;
        };
        let first = next_elapsed(*anchor, *every, zone::clamp(from.saturating_sub(1))?);
        let span = to.checked_sub(first).filter(|span| *span >= 0);
        Some(span.map_or(0, |span| (span / every).unsigned_abs() + 1))
    }
}

/// `after` is clamped, `anchor` and `every` are bounded when compiled: nothing overflows.
fn next_elapsed(anchor: i64, every: i64, after: i64) -> i64 {
    if after < anchor {
        return anchor;
    }
    anchor + ((after - anchor) / every + 1) * every
}

/// The next instant for local times that are fixed on the clock.
fn next_resolved(
    zone: Tz,
    after: i64,
    next_local: impl Fn(NaiveDateTime, NaiveDateTime) -> Option<NaiveDateTime>,
) -> Option<(i64, Decision)> {
    let mut local = zone::local_at(zone, after);
    let limit = local + HORIZON;
    loop {
        local = next_local(local, limit)?;
        let (at, decision) = zone::resolve(zone, local);
        // What was resolved onto `after` or before it has had its turn: this is where two local
        // times on one instant become one, and where the second pass stays silent.
        if at > after {
            return Some((at, decision));
        }
    }
}

/// The next instant at which clocks show a matching time, in either pass and never in a gap.
fn next_shown(zone: Tz, cron: &Cron, after: i64) -> Option<i64> {
    let limit = zone::local_at(zone, after) + HORIZON;
    let mut after = after;
    for _ in 0..MAX_FOLDS {
        let offset = zone::offset_at(zone, after);
        let window_end = after + FOLD_WINDOW;
        if zone::offset_at(zone, window_end) >= offset {
            return next_shown_without_fold(zone, cron, after, limit);
        }
        let fold = zone::first_second(after, window_end, |at| zone::offset_at(zone, at) != offset);
        let first_pass = cron.next_local(zone::local_at(zone, after), limit)?;
        let at = instant(first_pass, offset);
        if at < fold {
            return Some(at);
        }
        let second_pass = zone::local_at(zone, fold) - Duration::microseconds(1);
        let at = instant(
            cron.next_local(second_pass, limit)?,
            zone::offset_at(zone, fold),
        );
        if at <= window_end {
            return Some(at);
        }
        after = window_end;
    }
    None
}

fn next_shown_without_fold(zone: Tz, cron: &Cron, after: i64, limit: NaiveDateTime) -> Option<i64> {
    let mut local = zone::local_at(zone, after);
    loop {
        local = cron.next_local(local, limit)?;
        match zone::instants_of(zone, local) {
            (Some(first), _) if first > after => return Some(first),
            (_, Some(second)) if second > after => return Some(second),
            (Some(_), _) => {}
            (None, _) => {
                let resumed = zone::local_at(zone, zone::end_of_gap(zone, local));
                local = resumed - Duration::microseconds(1);
            }
        }
    }
}

fn instant(local: NaiveDateTime, offset_seconds: i64) -> i64 {
    (local - Duration::seconds(offset_seconds))
        .and_utc()
        .timestamp_micros()
}

/// The first slot after an instant that nothing has taken, or `None` when every slot looked at
/// is taken.
pub fn next_free_slot(
    slots: &CompiledSchedule,
    after_micros: i64,
    taken: &BTreeSet<i64>,
) -> Option<Occurrence> {
    let mut after = after_micros;
    for _ in 0..MAX_SLOTS_LOOKED_AT {
        let slot = slots.next_after(after)?;
        if !taken.contains(&slot.at_micros) {
            return Some(slot);
        }
        after = slot.at_micros;
    }
    None
}
