//! Owns the forty forms of schedule that the matrix compares, each with a reading of its own: which
//! days, which minutes of the day, and whether it follows the clock or elapsed time.

use super::{cron, rule};
use crate::schedule::duration::MINUTE;
use crate::schedule::{CompiledSchedule, Schedule};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime};

/// What a form follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// The clock on the wall: skipped times move to the end of the gap, doubled ones come once.
    Fixed,
    /// Whatever clocks show, in every pass.
    Elapsed,
    /// Minutes since 1970, so many apart.
    Ticks(i64),
    /// The clock on the wall, so many minutes apart from the rule's start.
    Steps(i64),
}

type Day = fn(NaiveDate) -> bool;
/// Hours and minutes; an empty list is any.
type Times = (&'static [u32], &'static [u32]);

/// A form and what it means.
#[derive(Debug)]
pub(super) struct Form {
    pub kind: &'static str,
    pub text: &'static str,
    pub reading: Reading,
    day: Day,
    times: Times,
}

/// Where rules begin; a Monday.
const START: &str = "1990-01-01T00:00";

const fn form(
    kind: &'static str,
    text: &'static str,
    reading: Reading,
    day: Day,
    times: Times,
) -> Form {
    Form {
        kind,
        text,
        reading,
        day,
        times,
    }
}

fn any(_: NaiveDate) -> bool {
    true
}
fn sunday(day: NaiveDate) -> bool {
    weekday(day) == 0
}
fn weekend(day: NaiveDate) -> bool {
    matches!(weekday(day), 0 | 6)
}
fn working(day: NaiveDate) -> bool {
    !weekend(day)
}
fn friday_or_third(day: NaiveDate) -> bool {
    weekday(day) == 5 || day.day() % 3 == 1
}
fn last_sunday(day: NaiveDate) -> bool {
    sunday(day) && day.day() + 7 > u32::from(day.num_days_in_month())
}
fn last_day(day: NaiveDate) -> bool {
    day.day() == u32::from(day.num_days_in_month())
}
fn months_of_change(day: NaiveDate) -> bool {
    matches!(day.month(), 3 | 4 | 9 | 10 | 11)
}
fn sunday_of_change(day: NaiveDate) -> bool {
    months_of_change(day) && sunday(day)
}
fn since_start(day: NaiveDate) -> i64 {
    (day - NaiveDate::from_ymd_opt(1990, 1, 1).unwrap()).num_days()
}
fn second_day(day: NaiveDate) -> bool {
    since_start(day) % 2 == 0
}
fn second_week(day: NaiveDate) -> bool {
    since_start(day) / 7 % 2 == 0 && weekend(day)
}
fn second_sunday(day: NaiveDate) -> bool {
    sunday(day) && (8..=14).contains(&day.day())
}
fn weekday(day: NaiveDate) -> u32 {
    day.weekday().num_days_from_sunday()
}

const ANY: &[u32] = &[];
const NIGHT: &[u32] = &[0, 1, 2, 3];
const QUARTERS: &[u32] = &[0, 15, 30, 45];
const FIVES: &[u32] = &[0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55];
const EVEN: &[u32] = &[0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22];
const THIRDS: &[u32] = &[0, 3, 6, 9, 12, 15, 18, 21];
use Reading::{Elapsed, Fixed, Steps, Ticks};

/// Forty of them.
pub(super) const FORMS: [Form; 40] = [
    form("cron", "30 2 * * *", Fixed, any, (&[2], &[30])),
    form("cron", "0 0 * * *", Fixed, any, (&[0], &[0])),
    form(
        "cron",
        "0,15,30,45 0,1,2,3 * * *",
        Fixed,
        any,
        (NIGHT, QUARTERS),
    ),
    form("cron", "59 23 * * *", Fixed, any, (&[23], &[59])),
    form("cron", "1 0 * * *", Fixed, any, (&[0], &[1])),
    form("cron", "0 9 * * 1-5", Fixed, working, (&[9], &[0])),
    form("cron", "30 2 * * 0", Fixed, sunday, (&[2], &[30])),
    form("cron", "0 3 * * *", Fixed, any, (&[3], &[0])),
    form(
        "cron",
        "10-50/20 1-3 * * *",
        Fixed,
        any,
        (&[1, 2, 3], &[10, 30, 50]),
    ),
    form("cron", "45 1,2 */1 * 6,0", Fixed, weekend, (&[1, 2], &[45])),
    form(
        "cron",
        "7 0,2 1-31/3 * 5",
        Fixed,
        friday_or_third,
        (&[0, 2], &[7]),
    ),
    form(
        "cron",
        "15 1 * 3,4,9-11 *",
        Fixed,
        months_of_change,
        (&[1], &[15]),
    ),
    form("cron", "0 2 L * *", Fixed, last_day, (&[2], &[0])),
    form("cron", "30 1 * * 0#2", Fixed, second_sunday, (&[1], &[30])),
    form("cron", "@daily", Fixed, any, (&[0], &[0])),
    form("cron", "@weekly", Fixed, sunday, (&[0], &[0])),
    form("cron", "* * * * *", Elapsed, any, (ANY, ANY)),
    form("cron", "*/5 * * * *", Elapsed, any, (ANY, FIVES)),
    form("cron", "0 * * * *", Elapsed, any, (ANY, &[0])),
    form("cron", "@hourly", Elapsed, any, (ANY, &[0])),
    form("cron", "30 * * * *", Elapsed, any, (ANY, &[30])),
    form("cron", "*/30 2 * * *", Elapsed, any, (&[2], &[0, 30])),
    form("cron", "15 */2 * * *", Elapsed, any, (EVEN, &[15])),
    form(
        "cron",
        "0-59/20 0-3 * * *",
        Elapsed,
        any,
        (NIGHT, &[0, 20, 40]),
    ),
    form("cron", "0 0-23/3 * * *", Elapsed, any, (THIRDS, &[0])),
    form(
        "cron",
        "*/15 1,2 * * 0",
        Elapsed,
        sunday,
        (&[1, 2], QUARTERS),
    ),
    form(
        "rule",
        "FREQ=DAILY;BYHOUR=2;BYMINUTE=30",
        Fixed,
        any,
        (&[2], &[30]),
    ),
    form(
        "rule",
        "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,15,30,45",
        Fixed,
        any,
        (NIGHT, QUARTERS),
    ),
    form(
        "rule",
        "FREQ=DAILY;INTERVAL=2",
        Fixed,
        second_day,
        (&[0], &[0]),
    ),
    form(
        "rule",
        "FREQ=WEEKLY;BYDAY=SU;BYHOUR=1;BYMINUTE=59",
        Fixed,
        sunday,
        (&[1], &[59]),
    ),
    form(
        "rule",
        "FREQ=WEEKLY;INTERVAL=2;BYDAY=SA,SU;BYHOUR=2;BYMINUTE=10",
        Fixed,
        second_week,
        (&[2], &[10]),
    ),
    form(
        "rule",
        "FREQ=MONTHLY;BYDAY=-1SU;BYHOUR=2",
        Fixed,
        last_sunday,
        (&[2], &[0]),
    ),
    form(
        "rule",
        "FREQ=YEARLY;BYMONTH=3,4,9,10,11;BYDAY=SU;BYHOUR=0,23;BYMINUTE=30",
        Fixed,
        sunday_of_change,
        (&[0, 23], &[30]),
    ),
    form("rule", "FREQ=HOURLY;BYMINUTE=20", Fixed, any, (ANY, &[20])),
    form(
        "rule",
        "FREQ=HOURLY;INTERVAL=5",
        Steps(300),
        any,
        (ANY, ANY),
    ),
    form(
        "rule",
        "FREQ=MINUTELY;INTERVAL=7;BYHOUR=0,1,2,3",
        Steps(7),
        any,
        (NIGHT, ANY),
    ),
    form(
        "slots",
        "sunday 02:30,sunday 00:00,saturday 23:45",
        Fixed,
        any,
        (ANY, ANY),
    ),
    form(
        "slots",
        "monday 00:15,tuesday 02:10,wednesday 02:10,thursday 02:10,friday 00:15",
        Fixed,
        any,
        (ANY, ANY),
    ),
    form("every", "90m", Ticks(90), any, (ANY, ANY)),
    form("every", "1d", Ticks(24 * 60), any, (ANY, ANY)),
];

impl Form {
    pub(super) fn compile(&self, zone: &str) -> CompiledSchedule {
        match self.kind {
            "cron" => cron(self.text, zone),
            "rule" => rule(self.text, START, zone),
            "every" => {
                let (every, anchor) = (self.text.to_owned(), None);
                Schedule::Every { every, anchor }.compile().unwrap()
            }
            _ => {
                let slots: Vec<_> = self
                    .slots()
                    .map(|(weekday, time)| serde_json::json!({"weekday": weekday, "time": time}))
                    .collect();
                let slots = serde_json::json!({"kind": "slots", "zone": zone, "slots": slots});
                let slots: Schedule = serde_json::from_value(slots).unwrap();
                slots.compile().unwrap()
            }
        }
    }

    fn slots(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.text
            .split(',')
            .map(|slot| slot.split_once(' ').unwrap())
    }

    /// Whether it fires so often that only the hours around a change are worth the look.
    pub(super) fn is_dense(&self) -> bool {
        self.reading == Elapsed && matches!(self.text, "* * * * *" | "*/5 * * * *")
    }

    /// Whether its days include this one; slots and odd steps say so by the minute.
    pub(super) fn on_day(&self, day: NaiveDate) -> bool {
        self.kind != "slots" && matches!(self.reading, Fixed | Elapsed) && (self.day)(day)
    }

    /// Whether its times of day include this minute of the day.
    pub(super) fn at_minute(&self, minute: u32) -> bool {
        let has = |list: &[u32], value: u32| list.is_empty() || list.contains(&value);
        has(self.times.0, minute / 60) && has(self.times.1, minute % 60)
    }

    /// Minutes of the week, from Monday on, of slots.
    pub(super) fn slot_minutes(&self) -> Vec<u32> {
        const DAYS: [&str; 7] = [
            "monday",
            "tuesday",
            "wednesday",
            "thursday",
            "friday",
            "saturday",
            "sunday",
        ];
        if self.kind != "slots" {
            return Vec::new();
        }
        self.slots()
            .map(|(weekday, time)| {
                let day = DAYS.iter().position(|day| *day == weekday).unwrap();
                let (hour, minute) = time.split_once(':').unwrap();
                let (hour, minute): (u32, u32) = (hour.parse().unwrap(), minute.parse().unwrap());
                (u32::try_from(day).unwrap() * 24 + hour) * 60 + minute
            })
            .collect()
    }

    /// Whether so many minutes have passed since the rule's start.
    pub(super) fn steps_to(&self, local: NaiveDateTime) -> bool {
        let Steps(step) = self.reading else {
            return false;
        };
        let start = NaiveDate::from_ymd_opt(1990, 1, 1)
            .unwrap()
            .and_time(NaiveTime::MIN);
        let minutes = (local - start).num_minutes();
        let minute = u32::try_from(minutes.rem_euclid(24 * 60)).unwrap();
        minutes % step == 0 && self.at_minute(minute)
    }

    /// Whether it counts this instant, whatever clocks show.
    pub(super) fn ticks(&self, micros: i64) -> bool {
        matches!(self.reading, Ticks(minutes) if micros % (minutes * MINUTE) == 0)
    }

    /// Whether it follows the clock on the wall.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self.reading, Fixed | Steps(_))
    }
}
