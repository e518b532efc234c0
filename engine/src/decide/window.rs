//! Windows of the week in civil time.
//!
//! Owns what a window that crosses midnight means: the hours after midnight
//! belong to the day on which the window opened. Must not read a clock.
//! Invariant: the answer depends only on the moment and the zone.

use chrono::{Datelike, Timelike};
use chrono_tz::Tz;
use so_model::{Timestamp, rule, time::MINUTE, why::Distance};

use crate::rule::{WEEKDAYS, parse_time};

use super::say::spoken;

/// Minutes of a day.
const DAY: u16 = 24 * 60;

/// Minutes of a week.
const WEEK: i64 = 7 * DAY as i64;

/// A compiled window.
#[derive(Debug, Clone)]
pub(super) struct Window {
    from: u16,
    to: u16,
    /// Monday is bit 0; all bits when no day was named.
    days: u8,
    zone: Option<Tz>,
}

impl Window {
    /// Compiles a window.
    pub fn compile(window: &rule::Window) -> Result<Self, String> {
        let minutes = |text: &Option<String>, absent| match text {
            Some(text) => {
                parse_time(text).ok_or_else(|| format!("`{text:.20}` is not a time of day"))
            }
            None => Ok(absent),
        };
        let mut days = 0;
        for day in &window.weekdays {
            let known = WEEKDAYS.iter().position(|known| known == day);
            days |= 1 << known.ok_or_else(|| format!("`{day:.20}` is not a weekday"))?;
        }
        let zone = match &window.zone {
            Some(name) => Some(
                name.parse()
                    .map_err(|_| format!("`{name:.64}` is not a known time zone"))?,
            ),
            None => None,
        };
        Ok(Self {
            from: minutes(&window.from, 0)?,
            to: minutes(&window.to, DAY)?,
            days: if days == 0 { 0x7f } else { days },
            zone,
        })
    }

    /// Whether the moment lies in the window.
    pub fn holds(&self, now: Timestamp, workspace: Tz) -> bool {
        let (day, minute) = self.local(now, workspace);
        self.has(day, minute)
    }

    fn has(&self, day: u32, minute: u16) -> bool {
        let on = |day: u32| self.days >> day & 1 == 1;
        if self.from < self.to {
            return on(day) && (self.from..self.to).contains(&minute);
        }
        (on(day) && minute >= self.from) || (on((day + 6) % 7) && minute < self.to)
    }

    /// How far a moment outside lies from the window, on the clocks of its zone.
    pub fn distance(&self, now: Timestamp, workspace: Tz) -> Option<Distance> {
        let (day, minute) = self.local(now, workspace);
        let here = i64::from(day) * i64::from(DAY) + i64::from(minute);
        let is_in = |at: i64| {
            let at = at.rem_euclid(WEEK);
            let (day, minute) = (at / i64::from(DAY), at % i64::from(DAY));
            u32::try_from(day)
                .ok()
                .zip(u16::try_from(minute).ok())
                .is_some_and(|(day, minute)| self.has(day, minute))
        };
        let to_open = (1..WEEK).find(|minutes| is_in(here + minutes))?;
        let since_closed = (1..WEEK).find(|minutes| is_in(here - minutes))?;
        // The window's last minute is the one before it closed.
        let since_closed = since_closed - 1;
        let (by, side) = if to_open <= since_closed.max(1) {
            (to_open, "before the window opens")
        } else {
            (since_closed, "after it closed")
        };
        Some(Distance {
            by: Some(by as f64),
            unit: "minutes".into(),
            text: format!("{} {side}", spoken(by * MINUTE)),
        })
    }

    fn local(&self, now: Timestamp, workspace: Tz) -> (u32, u16) {
        let local = now
            .to_chrono()
            .with_timezone(&self.zone.unwrap_or(workspace));
        let minute = local.hour() * 60 + local.minute();
        (
            local.weekday().num_days_from_monday(),
            u16::try_from(minute).unwrap_or(0),
        )
    }

    /// The local time as the trace shows it.
    pub fn saw(&self, now: Timestamp, workspace: Tz) -> String {
        let (day, minute) = self.local(now, workspace);
        let zone = self.zone.unwrap_or(workspace);
        format!(
            "{} {} {}",
            WEEKDAYS[day as usize % 7],
            clock(minute),
            zone.name()
        )
    }

    /// What the window wants, to follow `wanted`.
    pub fn wanted(&self) -> String {
        let hours = match (self.from, self.to) {
            (0, DAY) => String::new(),
            (from, to) => format!("{} to {}", clock(from), clock(to)),
        };
        if self.days == 0x7f {
            return hours;
        }
        let days: Vec<&str> = (0..7)
            .filter(|day| self.days >> day & 1 == 1)
            .map(|day| WEEKDAYS[day])
            .collect();
        let days = days.join(", ");
        if hours.is_empty() {
            days
        } else {
            format!("{hours} on {days}")
        }
    }
}

fn clock(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}
