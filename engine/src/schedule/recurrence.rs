//! Owns calendar rules as written: what RFC 5545 text means, its end, exceptions and additions.
//! Must not know how a rule is expanded. Invariant: COUNT counts what the rule itself gives,
//! before exceptions take anything away.

use super::compiled::HORIZON;
use super::error::{ScheduleError, closest};
use super::expand::Rule;
use super::zone;
use chrono::{NaiveDate, NaiveDateTime, NaiveTime};
use chrono_tz::Tz;
use rrule::{Frequency, NWeekday, RRule, Unvalidated};
use std::collections::BTreeSet;

const FIELD: &str = "/rrule";
/// A bound on work for text from outside; a rule that names every minute still fits.
const MAX_TEXT: usize = 1_000;
/// A counted rule is expanded once, when compiled: eleven years of daily occurrences.
const MAX_COUNT: usize = 4_000;
/// Past this an interval outruns the horizon for years, and is a typing error for the rest.
const MAX_INTERVAL: i64 = 1_000;
/// Exceptions and additions are written by hand: three years of every day is ample.
const MAX_DATES: usize = 1_000;
const PARTS: [&str; 14] = [
    "FREQ",
    "UNTIL",
    "COUNT",
    "INTERVAL",
    "BYSECOND",
    "BYMINUTE",
    "BYHOUR",
    "BYDAY",
    "BYMONTHDAY",
    "BYYEARDAY",
    "BYWEEKNO",
    "BYMONTH",
    "BYSETPOS",
    "WKST",
];

/// A calendar rule, ready to be searched.
#[derive(Debug, Clone)]
pub(super) struct Recurrence {
    zone: Tz,
    rule: Rule,
    /// Everything a counted rule gives, sorted.
    counted: Option<Vec<NaiveDateTime>>,
    until: Option<Until>,
    except_dates: BTreeSet<NaiveDate>,
    except_times: BTreeSet<NaiveDateTime>,
    extra: Vec<NaiveDateTime>,
}

#[derive(Debug, Clone, Copy)]
enum Until {
    Local(NaiveDateTime),
    Instant(i64),
}

fn wrong(reason: impl Into<String>, next_step: impl Into<String>) -> ScheduleError {
    ScheduleError::new(FIELD, reason, next_step)
}

/// A rule's parts, with those that are ours taken out.
struct Parts {
    rest: String,
    until: Option<Until>,
    count: Option<usize>,
}

impl Recurrence {
    pub(super) fn compile(
        text: &str,
        start: &str,
        zone: Tz,
        except: &[String],
        extra: &[String],
    ) -> Result<Self, ScheduleError> {
        let start = zone::parse_local("/start", start)?;
        let parts = take_apart(text)?;
        let rule = read_rule(&parts.rest, start)?;
        let mut recurrence = Self {
            zone,
            rule,
            counted: None,
            until: parts.until,
            except_dates: BTreeSet::new(),
            except_times: BTreeSet::new(),
            extra: Vec::new(),
        };
        recurrence.count(parts.count)?;
        recurrence.add_dates(except, extra)?;
        Ok(recurrence)
    }

    /// Expands a counted rule, and refuses one that gives nothing.
    fn count(&mut self, count: Option<usize>) -> Result<(), ScheduleError> {
        let mut found = Vec::new();
        let mut after = self.rule.start - chrono::Duration::microseconds(1);
        while found.len() < count.unwrap_or(1) {
            let Some(next) = self.next_of_rule(after, after + HORIZON) else {
                break;
            };
            found.push(next);
            after = next;
        }
        if found.is_empty() {
            return Err(wrong(
                "no date matches between the start and the end, so this would never fire",
                "check that the days exist in the months, and that UNTIL is not before the start",
            ));
        }
        if count.is_some() {
            self.counted = Some(found);
        }
        Ok(())
    }

    fn add_dates(&mut self, except: &[String], extra: &[String]) -> Result<(), ScheduleError> {
        for (field, list) in [("/except", except), ("/extra", extra)] {
            if list.len() > MAX_DATES {
                return Err(ScheduleError::new(
                    field,
                    format!("there are {} dates", list.len()),
                    format!("keep at most {MAX_DATES}, or begin a new rule"),
                ));
            }
        }
        for (index, text) in except.iter().enumerate() {
            match zone::parse_date(text) {
                Some(date) => drop(self.except_dates.insert(date)),
                None => {
                    let local = zone::parse_local(&format!("/except/{index}"), text)?;
                    self.except_times.insert(local);
                }
            }
        }
        for (index, text) in extra.iter().enumerate() {
            let local = match zone::parse_date(text) {
                Some(date) => date.and_time(self.rule.start.time()),
                None => zone::parse_local(&format!("/extra/{index}"), text)?,
            };
            self.extra.push(local);
        }
        self.extra.sort_unstable();
        self.extra.dedup();
        Ok(())
    }

    /// The first local time strictly after another, with exceptions and additions.
    pub(super) fn next_local(
        &self,
        after: NaiveDateTime,
        limit: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        let limit = limit.max(self.rule.start + HORIZON);
        let mut after = after;
        loop {
            let place = self.extra.partition_point(|extra| *extra <= after);
            let extra = self.extra.get(place).copied();
            let own = self.next_of_rule(after, limit);
            let next = own.into_iter().chain(extra).min()?;
            if self.except_dates.contains(&next.date()) {
                let end = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999)?;
                after = next.date().and_time(end);
            } else if self.except_times.contains(&next) {
                after = next;
            } else {
                return Some(next);
            }
        }
    }

    fn next_of_rule(&self, after: NaiveDateTime, limit: NaiveDateTime) -> Option<NaiveDateTime> {
        if let Some(counted) = &self.counted {
            let place = counted.partition_point(|local| *local <= after);
            return counted.get(place).copied();
        }
        let limit = match self.until {
            Some(Until::Local(until)) => limit.min(until),
            // A day of slack covers any offset; the instant itself is compared below.
            Some(Until::Instant(until)) => {
                limit.min(zone::local_at(self.zone, until) + chrono::Duration::days(2))
            }
            None => limit,
        };
        let next = self.rule.next(after, limit)?;
        match self.until {
            Some(Until::Instant(until)) if zone::resolve(self.zone, next).0 > until => None,
            _ => Some(next),
        }
    }
}

fn take_apart(text: &str) -> Result<Parts, ScheduleError> {
    let text = text.trim().to_ascii_uppercase();
    let text = text.strip_prefix("RRULE:").unwrap_or(&text);
    if text.len() > MAX_TEXT || text.contains(['\n', '\r', ':']) {
        return Err(wrong(
            format!("a rule is one line of at most {MAX_TEXT} characters"),
            "give the rule only; start, exceptions and additions have their own fields",
        ));
    }
    let mut parts = Parts {
        rest: String::new(),
        until: None,
        count: None,
    };
    let mut seen = BTreeSet::new();
    for part in text.split(';').filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        if !PARTS.contains(&name) {
            return Err(wrong(
                format!("{name:?} is not a part of a rule"),
                "use the parts of RFC 5545, such as FREQ, INTERVAL, BYDAY or UNTIL",
            )
            .suggest(closest(name, PARTS)));
        }
        if value.is_empty() {
            return Err(wrong(
                format!("{name} has no value"),
                "give it a value, or leave the part out",
            ));
        }
        // The library cuts weekdays between bytes.
        if !value.is_ascii() {
            return Err(wrong(
                format!("{name} has a letter that no rule has"),
                "use A to Z, digits, commas and signs, such as BYDAY=MO,TH",
            ));
        }
        if !seen.insert(name.to_owned()) {
            return Err(wrong(format!("{name} is given twice"), "keep one of them"));
        }
        match name {
            "UNTIL" => parts.until = Some(read_until(value)?),
            "COUNT" => parts.count = Some(read_count(value)?),
            _ => {
                check_part(name, value)?;
                parts
                    .rest
                    .push_str(if parts.rest.is_empty() { "" } else { ";" });
                parts.rest.push_str(part);
            }
        }
    }
    if parts.until.is_some() && parts.count.is_some() {
        return Err(wrong(
            "UNTIL and COUNT both end the rule",
            "keep one of them",
        ));
    }
    if !seen.contains("FREQ") {
        return Err(wrong(
            "FREQ is missing",
            "begin the rule with FREQ, such as FREQ=DAILY",
        ));
    }
    Ok(parts)
}

fn check_part(name: &str, value: &str) -> Result<(), ScheduleError> {
    match name {
        "FREQ" if value == "SECONDLY" => Err(wrong(
            "a schedule fires at most once a minute",
            "use FREQ=MINUTELY or a longer frequency",
        )),
        "BYSECOND" if value.contains(',') => Err(wrong(
            "several seconds in one minute would fire more than once a minute",
            "name one second, or leave BYSECOND out",
        )),
        "INTERVAL" => match value.parse::<i64>() {
            Ok(interval) if (1..=MAX_INTERVAL).contains(&interval) => Ok(()),
            _ => Err(wrong(
                "INTERVAL is not a whole number in range",
                format!("use a number from 1 to {MAX_INTERVAL}"),
            )),
        },
        _ => Ok(()),
    }
}

fn read_count(value: &str) -> Result<usize, ScheduleError> {
    match value.parse::<usize>() {
        Ok(count) if (1..=MAX_COUNT).contains(&count) => Ok(count),
        _ => Err(wrong(
            "COUNT is not a whole number in range",
            format!("use a number from 1 to {MAX_COUNT}, or end the rule by UNTIL"),
        )),
    }
}

fn read_until(value: &str) -> Result<Until, ScheduleError> {
    let local = |text| NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S").ok();
    let until = if let Some(utc) = value.strip_suffix('Z') {
        local(utc).map(|at| Until::Instant(at.and_utc().timestamp_micros()))
    } else if let Ok(date) = NaiveDate::parse_from_str(value, "%Y%m%d") {
        date.and_hms_opt(23, 59, 59).map(Until::Local)
    } else {
        local(value).map(Until::Local)
    };
    until.ok_or_else(|| {
        wrong(
            "UNTIL is not a date or a date and time",
            "write it as 20261231, 20261231T235959 (local) or 20261231T225959Z",
        )
    })
}

fn read_rule(text: &str, start: NaiveDateTime) -> Result<Rule, ScheduleError> {
    let unreadable = |error: rrule::RRuleError| {
        wrong(
            error.to_string(),
            "check the rule against RFC 5545, such as FREQ=WEEKLY;BYDAY=MO,TH",
        )
    };
    let written: RRule<Unvalidated> = text.parse().map_err(unreadable)?;
    // The library splits month days by sign where it cannot be asked for the negative ones.
    let written_days = written.get_by_month_day().to_vec();
    // Labelled UTC, so that the library sees local time that never jumps.
    let filled = written
        .validate(start.and_utc().with_timezone(&rrule::Tz::UTC))
        .map_err(unreadable)?;
    let freq = filled.get_freq();
    let within_day = matches!(freq, Frequency::Hourly | Frequency::Minutely);
    if within_day && !filled.get_by_set_pos().is_empty() {
        return Err(wrong(
            "BYSETPOS chooses within a day or longer",
            "use it with FREQ=DAILY or a longer frequency",
        ));
    }
    let numbered = |day: &NWeekday| matches!(day, NWeekday::Nth(..));
    let may_number = matches!(freq, Frequency::Yearly | Frequency::Monthly)
        && filled.get_by_week_no().is_empty();
    if !may_number && filled.get_by_weekday().iter().any(numbered) {
        return Err(wrong(
            "a numbered weekday such as 1MO needs a month or a year to count in",
            "use FREQ=MONTHLY or FREQ=YEARLY without BYWEEKNO, or leave the number out",
        ));
    }
    Ok(Rule {
        freq,
        interval: i64::from(filled.get_interval()).max(1),
        start,
        week_start: filled.get_week_start(),
        months: filled.get_by_month().to_vec(),
        month_days: if written_days.is_empty() {
            filled.get_by_month_day().to_vec()
        } else {
            written_days
        },
        year_days: filled.get_by_year_day().to_vec(),
        weeks: filled.get_by_week_no().to_vec(),
        weekdays: filled.get_by_weekday().to_vec(),
        hours: filled.get_by_hour().to_vec(),
        minutes: filled.get_by_minute().to_vec(),
        second: filled.get_by_second().first().copied().map_or(0, u32::from),
        positions: filled.get_by_set_pos().to_vec(),
    })
}
