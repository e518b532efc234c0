//! Owns cron expressions with five fields, searched in local time.
//! Must not know zones or instants. Invariant: croner only reads the expression and judges days;
//! the search itself, and all that clock changes do to it, is ours.

use super::compiled::HORIZON;
use super::error::{ScheduleError, closest};
use super::slots::minute_of_day;
use chrono::{Datelike, Duration, NaiveDate, NaiveDateTime, NaiveTime};
use croner::CronPattern;
use croner::parser::{CronParser, Seconds, Year};

const FIELD: &str = "/expression";
/// A bound on work for text from outside; every list of 60 minutes fits.
const MAX_TEXT: usize = 300;
const NICKNAMES: [(&str, &str); 6] = [
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];
const MONTHS: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// A cron expression, ready to be searched.
#[derive(Debug, Clone)]
pub(super) struct Cron {
    pattern: CronPattern,
    /// Matching minutes of a matching day, sorted.
    minutes: Vec<u32>,
    follows_elapsed_time: bool,
}

fn wrong(reason: impl Into<String>, next_step: impl Into<String>) -> ScheduleError {
    ScheduleError::new(FIELD, reason, next_step)
}

impl Cron {
    pub(super) fn compile(expression: &str) -> Result<Self, ScheduleError> {
        let text = expand_nickname(expression)?;
        let fields: Vec<&str> = text.split_whitespace().collect();
        check_fields(&fields)?;
        // As in Vixie cron a day field that begins with a star restricts together with the
        // other one, while two restricted fields are alternatives.
        let together = fields[2].starts_with(['*', '?']) || fields[4].starts_with(['*', '?']);
        let pattern = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .dom_and_dow(together)
            .build()
            .parse(&fields.join(" "))
            .map_err(|error| {
                wrong(
                    error.to_string(),
                    "check the numbers and ranges; a range may not wrap, so write 22-23,0-2 for 22-2",
                )
            })?
            .pattern;
        let hours = pattern.hours.values();
        let minutes = pattern.minutes.values();
        let cron = Self {
            minutes: hours
                .iter()
                .flat_map(|hour| {
                    minutes
                        .iter()
                        .map(|m| u32::from(*hour) * 60 + u32::from(*m))
                })
                .collect(),
            follows_elapsed_time: covers_all(fields[0], 59) || covers_all(fields[1], 23),
            pattern,
        };
        cron.fires_at_all()?;
        Ok(cron)
    }

    /// Whether the minute or the hour is a star, a step over a star, or the full range: such an
    /// expression means "again and again", not "at this time of day".
    pub(super) fn follows_elapsed_time(&self) -> bool {
        self.follows_elapsed_time
    }

    fn fires_at_all(&self) -> Result<(), ScheduleError> {
        // Any date does: what the expression can say repeats with the calendar.
        let start = NaiveDate::from_ymd_opt(2000, 1, 1).unwrap_or_default();
        let start = start.and_time(NaiveTime::MIN);
        match self.next_local(start, start + HORIZON) {
            Some(_) => Ok(()),
            None => Err(wrong(
                "no date matches, so this would never fire",
                "check that the days exist in the months, such as not the 30th of February",
            )),
        }
    }

    /// The first matching local time strictly after another.
    pub(super) fn next_local(
        &self,
        after: NaiveDateTime,
        limit: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        let mut date = after.date();
        let reached = minute_of_day(after.time());
        let today = self.minutes.partition_point(|minute| *minute <= reached);
        if let Some(minute) = self.minutes.get(today)
            && self.matches_day(date)
        {
            return Some(at_minute(date, *minute));
        }
        let first = *self.minutes.first()?;
        date = date.succ_opt()?;
        while date <= limit.date() {
            if !self.pattern.month_match(date.month()).unwrap_or(false) {
                date = first_of_next_month(date)?;
            } else if self.matches_day(date) {
                return Some(at_minute(date, first));
            } else {
                date = date.succ_opt()?;
            }
        }
        None
    }

    fn matches_day(&self, date: NaiveDate) -> bool {
        let from_sunday = date.weekday().num_days_from_sunday();
        let weekday = croner::Weekday::from_days_from_sunday(from_sunday);
        self.pattern.month_match(date.month()).unwrap_or(false)
            && self
                .pattern
                .day_match(date.year(), date.month(), date.day(), weekday)
                .unwrap_or(false)
    }
}

fn at_minute(date: NaiveDate, minute: u32) -> NaiveDateTime {
    date.and_time(NaiveTime::MIN) + Duration::minutes(i64::from(minute))
}

fn first_of_next_month(date: NaiveDate) -> Option<NaiveDate> {
    match date.month() {
        12 => NaiveDate::from_ymd_opt(date.year() + 1, 1, 1),
        month => NaiveDate::from_ymd_opt(date.year(), month + 1, 1),
    }
}

fn expand_nickname(expression: &str) -> Result<String, ScheduleError> {
    if expression.len() > MAX_TEXT {
        return Err(wrong(
            format!("an expression has at most {MAX_TEXT} characters"),
            "write steps and ranges instead of long lists",
        ));
    }
    let text = expression.trim();
    if !text.contains('@') {
        return Ok(text.to_uppercase());
    }
    let nickname = match text.to_lowercase() {
        midnight if midnight == "@midnight" => "@daily".to_owned(),
        other => other,
    };
    NICKNAMES
        .iter()
        .find(|(name, _)| *name == nickname)
        .map(|(_, meaning)| (*meaning).to_owned())
        .ok_or_else(|| {
            wrong(
                format!("{text:?} is not a nickname for a schedule"),
                "use @hourly, @daily, @weekly, @monthly, @yearly or five fields",
            )
            .suggest(closest(&nickname, NICKNAMES.map(|(name, _)| name)))
        })
}

fn check_fields(fields: &[&str]) -> Result<(), ScheduleError> {
    let count = fields.len();
    if count == 6 || count == 7 {
        return Err(wrong(
            format!(
                "{count} fields would name seconds, and a schedule fires at most once a minute"
            ),
            "remove the field for seconds, which comes first, and any field for years",
        )
        .suggest(Some(fields[1..6].join(" "))));
    }
    if count != 5 {
        return Err(wrong(
            format!("an expression has five fields, this one has {count}"),
            "write minute, hour, day of month, month and day of week, with * for any",
        ));
    }
    let words: [&[&str]; 5] = [&[], &[], &["L", "W", "LW"], &MONTHS, &WEEKDAYS];
    let names = ["minute", "hour", "day of month", "month", "day of week"];
    for ((field, allowed), name) in fields.iter().zip(words).zip(names) {
        if field.contains('+') || field.split(',').any(str::is_empty) {
            return Err(wrong(
                format!("the {name} field {field:?} cannot be read"),
                "use numbers, ranges, lists and steps only",
            ));
        }
        let letters = field.split(|c: char| !c.is_alphabetic());
        for word in letters.filter(|word| !word.is_empty()) {
            let last_weekday = name == "day of week"
                && matches!(word.strip_suffix('L'), Some(rest) if rest.is_empty() || WEEKDAYS.contains(&rest));
            if !allowed.contains(&word) && !last_weekday {
                return Err(wrong(
                    format!("the {name} field does not know {word:?}"),
                    "use numbers, or three-letter English names for months and weekdays",
                )
                .suggest(closest(word, allowed.iter().copied())));
            }
        }
    }
    Ok(())
}

/// Whether one part of a field is a star or spans the field's whole range, with or without step.
fn covers_all(field: &str, last: u32) -> bool {
    field.split(',').any(|part| {
        let range = part.split('/').next().unwrap_or(part);
        let spans = range
            .split_once('-')
            .and_then(|(from, to)| Some((from.parse::<u32>().ok()?, to.parse::<u32>().ok()?)));
        range == "*" || spans == Some((0, last))
    })
}
