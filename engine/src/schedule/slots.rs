//! Owns weekly slots: fixed local times on fixed weekdays, as a posting queue uses them.
//! Must not know zones or instants. Invariant: minutes of the week are sorted and distinct.

use super::{ScheduleError, Weekday, WeeklySlot};
use chrono::{Datelike, Duration, NaiveDateTime, NaiveTime, Timelike};

/// One slot for every minute of a day, each weekday, would be 10 080; no queue needs a tenth.
const MAX_SLOTS: usize = 1_000;
const MINUTES_IN_DAY: u32 = 24 * 60;

/// Weekly slots, ready to be searched.
#[derive(Debug, Clone)]
pub(super) struct Slots {
    /// Minutes since Monday 00:00.
    minutes: Vec<u32>,
}

impl Slots {
    pub(super) fn compile(slots: &[WeeklySlot]) -> Result<Self, ScheduleError> {
        if slots.is_empty() {
            return Err(ScheduleError::new(
                "/slots",
                "there is no slot, so this would never fire",
                "add at least one weekday and time",
            ));
        }
        if slots.len() > MAX_SLOTS {
            return Err(ScheduleError::new(
                "/slots",
                format!("there are {} slots", slots.len()),
                format!("keep at most {MAX_SLOTS} slots"),
            ));
        }
        let mut minutes = Vec::with_capacity(slots.len());
        for (index, slot) in slots.iter().enumerate() {
            let time = NaiveTime::parse_from_str(&slot.time, "%H:%M").map_err(|_| {
                ScheduleError::new(
                    format!("/slots/{index}/time"),
                    "the value is not a time of day",
                    "write it as HH:MM on the 24 hour clock, such as 09:30",
                )
            })?;
            minutes.push(day_number(slot.weekday) * MINUTES_IN_DAY + minute_of_day(time));
        }
        minutes.sort_unstable();
        minutes.dedup();
        Ok(Self { minutes })
    }

    /// The first slot strictly after a local time.
    pub(super) fn next_local(&self, after: NaiveDateTime) -> Option<NaiveDateTime> {
        let day = after.weekday().num_days_from_monday();
        let monday = after.date() - Duration::days(i64::from(day));
        let reached = day * MINUTES_IN_DAY + minute_of_day(after.time());
        let place = self.minutes.partition_point(|minute| *minute <= reached);
        let (weeks, minute) = match self.minutes.get(place) {
            Some(minute) => (0, *minute),
            None => (1, *self.minutes.first()?),
        };
        let start = monday.and_time(NaiveTime::MIN) + Duration::weeks(weeks);
        Some(start + Duration::minutes(i64::from(minute)))
    }
}

pub(super) fn minute_of_day(time: NaiveTime) -> u32 {
    time.hour() * 60 + time.minute()
}

fn day_number(weekday: Weekday) -> u32 {
    match weekday {
        Weekday::Monday => 0,
        Weekday::Tuesday => 1,
        Weekday::Wednesday => 2,
        Weekday::Thursday => 3,
        Weekday::Friday => 4,
        Weekday::Saturday => 5,
        Weekday::Sunday => 6,
    }
}
