//! Owns the expansion of a calendar rule into local times.
//! Must not know zones, text or exceptions. Invariant: any period can be expanded by itself, so a
//! rule that began long ago costs no more than one that begins today.

use chrono::{Datelike, Duration, Months, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Weekday};
use rrule::{Frequency, NWeekday};

/// A rule with everything it left out filled in from its start.
#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) freq: Frequency,
    pub(super) interval: i64,
    pub(super) start: NaiveDateTime,
    pub(super) week_start: Weekday,
    pub(super) months: Vec<u8>,
    pub(super) month_days: Vec<i8>,
    pub(super) year_days: Vec<i16>,
    pub(super) weeks: Vec<i8>,
    pub(super) weekdays: Vec<NWeekday>,
    pub(super) hours: Vec<u8>,
    pub(super) minutes: Vec<u8>,
    pub(super) second: u32,
    pub(super) positions: Vec<i32>,
}

impl Rule {
    /// The first local time of the rule strictly after another, not beyond `limit`.
    pub(super) fn next(&self, after: NaiveDateTime, limit: NaiveDateTime) -> Option<NaiveDateTime> {
        let after = after.max(self.start - Duration::microseconds(1));
        match self.freq {
            Frequency::Hourly | Frequency::Minutely | Frequency::Secondly => {
                self.next_within_days(after, limit)
            }
            _ => self.next_by_period(after, limit),
        }
    }

    fn next_by_period(&self, after: NaiveDateTime, limit: NaiveDateTime) -> Option<NaiveDateTime> {
        let times = self.times();
        // Just before a start at midnight lies the period before the first.
        let mut number = self.periods_until(after.date()).max(0) / self.interval;
        loop {
            let days = self.days_of_period(number.checked_mul(self.interval)?)?;
            if *days.first()? > limit.date() {
                return None;
            }
            let matching: Vec<NaiveDate> =
                days.into_iter().filter(|day| self.matches(*day)).collect();
            if let Some(found) = self.first_in(&matching, &times, after) {
                return (found <= limit).then_some(found);
            }
            number += 1;
        }
    }

    /// Times of day for a rule that names hours and minutes, sorted because the lists are.
    fn times(&self) -> Vec<NaiveTime> {
        let pairs = self
            .hours
            .iter()
            .flat_map(|hour| self.minutes.iter().map(move |minute| (*hour, *minute)));
        pairs
            .filter_map(|(hour, minute)| {
                NaiveTime::from_hms_opt(u32::from(hour), u32::from(minute), self.second)
            })
            .collect()
    }

    fn first_in(
        &self,
        days: &[NaiveDate],
        times: &[NaiveTime],
        after: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        if self.positions.is_empty() {
            let from = days.partition_point(|day| *day < after.date());
            return days[from..].iter().take(2).find_map(|day| {
                let place = times.partition_point(|time| day.and_time(*time) <= after);
                times.get(place).map(|time| day.and_time(*time))
            });
        }
        let size = i64::try_from(days.len() * times.len()).ok()?;
        let chosen = self.positions.iter().filter_map(|position| {
            let place = match i64::from(*position) {
                back if back < 0 => size + back,
                forward => forward - 1,
            };
            let place = usize::try_from(place).ok().filter(|_| place < size)?;
            Some(days[place / times.len()].and_time(times[place % times.len()]))
        });
        chosen.filter(|local| *local > after).min()
    }

    /// Whole periods from the one that holds the start to the one that holds `date`.
    fn periods_until(&self, date: NaiveDate) -> i64 {
        let start = self.start.date();
        match self.freq {
            Frequency::Yearly => i64::from(date.year() - start.year()),
            Frequency::Monthly => months_of(date) - months_of(start),
            Frequency::Weekly => (self.week_of(date) - self.week_of(start)).num_weeks(),
            _ => (date - start).num_days(),
        }
    }

    fn week_of(&self, date: NaiveDate) -> NaiveDate {
        date - Duration::days(i64::from(date.weekday().days_since(self.week_start)))
    }

    /// All days of the period that lies this many periods after the start's.
    fn days_of_period(&self, ahead: i64) -> Option<Vec<NaiveDate>> {
        let start = self.start.date();
        let (first, count) = match self.freq {
            Frequency::Yearly => {
                let year = start.year().checked_add(i32::try_from(ahead).ok()?)?;
                let first = NaiveDate::from_ymd_opt(year, 1, 1)?;
                (first, days_in_year(first))
            }
            Frequency::Monthly => {
                let months = Months::new(u32::try_from(ahead).ok()?);
                let first = start.with_day(1)?.checked_add_months(months)?;
                (first, days_in_month(first))
            }
            Frequency::Weekly => {
                let step = Duration::try_weeks(ahead)?;
                (self.week_of(start).checked_add_signed(step)?, 7)
            }
            _ => (start.checked_add_signed(Duration::try_days(ahead)?)?, 1),
        };
        Some(first.iter_days().take(count as usize).collect())
    }

    /// Hourly and minutely rules: matching days, and in them the hours and minutes in step.
    fn next_within_days(
        &self,
        after: NaiveDateTime,
        limit: NaiveDateTime,
    ) -> Option<NaiveDateTime> {
        let mut day = after.date();
        while day <= limit.date() {
            if self.matches(day)
                && let Some(found) = self.first_in_step(day, after)
            {
                return (found <= limit).then_some(found);
            }
            day = day.succ_opt()?;
        }
        None
    }

    fn first_in_step(&self, day: NaiveDate, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let earliest = if day == after.date() { after.hour() } else { 0 };
        let start_hour = self.start.date().and_hms_opt(self.start.hour(), 0, 0)?;
        let start_minute = start_hour + Duration::minutes(i64::from(self.start.minute()));
        for hour in earliest..24 {
            if !self.hours.is_empty() && !self.hours.iter().any(|h| u32::from(*h) == hour) {
                continue;
            }
            let shown = day.and_hms_opt(hour, 0, self.second)?;
            let hours = (day.and_hms_opt(hour, 0, 0)? - start_hour).num_hours();
            if self.freq == Frequency::Hourly && hours.rem_euclid(self.interval) != 0 {
                continue;
            }
            for minute in 0..60_u8 {
                if !self.minutes.is_empty() && !self.minutes.contains(&minute) {
                    continue;
                }
                let local = shown + Duration::minutes(i64::from(minute));
                let in_step = self.freq == Frequency::Hourly
                    || (local - start_minute)
                        .num_minutes()
                        .rem_euclid(self.interval)
                        == 0;
                if in_step && local > after {
                    return Some(local);
                }
            }
        }
        None
    }

    fn matches(&self, day: NaiveDate) -> bool {
        (self.months.is_empty() || self.months.iter().any(|m| u32::from(*m) == day.month()))
            && (self.month_days.is_empty() || self.matches_month_day(day))
            && (self.year_days.is_empty() || self.matches_year_day(day))
            && (self.weeks.is_empty() || self.matches_week(day))
            && (self.weekdays.is_empty() || self.weekdays.iter().any(|w| self.is_weekday(*w, day)))
    }

    fn matches_month_day(&self, day: NaiveDate) -> bool {
        let forward = i64::from(day.day());
        let back = forward - i64::from(days_in_month(day)) - 1;
        let mut wanted = self.month_days.iter().map(|d| i64::from(*d));
        wanted.any(|wanted| wanted == forward || wanted == back)
    }

    fn matches_year_day(&self, day: NaiveDate) -> bool {
        let forward = i64::from(day.ordinal());
        let back = forward - i64::from(days_in_year(day)) - 1;
        let mut wanted = self.year_days.iter().map(|d| i64::from(*d));
        wanted.any(|wanted| wanted == forward || wanted == back)
    }

    fn matches_week(&self, day: NaiveDate) -> bool {
        let (year, forward) = self.week_number(day);
        let Some(late) = NaiveDate::from_ymd_opt(year, 12, 28) else {
            return false;
        };
        let back = forward - self.week_number(late).1 - 1;
        let mut wanted = self.weeks.iter().map(|w| i64::from(*w));
        wanted.any(|wanted| wanted == forward || wanted == back)
    }

    /// A week belongs to the year that has four or more of its days, as its middle day tells.
    fn week_number(&self, day: NaiveDate) -> (i32, i64) {
        let middle = self.week_of(day) + Duration::days(3);
        (middle.year(), i64::from(middle.ordinal0() / 7) + 1)
    }

    fn is_weekday(&self, wanted: NWeekday, day: NaiveDate) -> bool {
        let (number, weekday) = match wanted {
            NWeekday::Every(weekday) => return weekday == day.weekday(),
            NWeekday::Nth(number, weekday) => (i64::from(number), weekday),
        };
        let by_month = self.freq == Frequency::Monthly || !self.months.is_empty();
        let (place, size) = if by_month {
            (day.day(), days_in_month(day))
        } else {
            (day.ordinal(), days_in_year(day))
        };
        let forward = i64::from((place - 1) / 7) + 1;
        let back = -i64::from((size - place) / 7) - 1;
        weekday == day.weekday() && (number == forward || number == back)
    }
}

fn months_of(date: NaiveDate) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn days_in_month(date: NaiveDate) -> u32 {
    u32::from(date.num_days_in_month())
}

fn days_in_year(date: NaiveDate) -> u32 {
    if date.leap_year() { 366 } else { 365 }
}
