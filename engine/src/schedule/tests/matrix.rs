//! Owns the matrix of clock changes: thirty zones, twenty-four changes in each, forty forms of
//! schedule and one policy. The second implementation walks through time once for each change and
//! carries all forms along as bits; it never asks which instants a local time has.

use std::collections::BTreeMap;

use super::brute::local_of;
use super::forms::{FORMS, Form, Reading};
use super::{CompiledSchedule, at};
use crate::schedule::duration::{HOUR, MINUTE};
use chrono::{DateTime, Datelike, Duration, NaiveDate, NaiveDateTime, TimeZone, Timelike};
use chrono_tz::Tz;

/// Changes taken of each zone.
const CHANGES: usize = 24;
/// The walk begins so long before a change and ends so long after: a whole day with room to spare.
const AROUND: i64 = 14 * HOUR;
/// The same where a whole day is skipped or comes twice.
const FAR_AROUND: i64 = 38 * HOUR;
/// Forms that fire every few minutes are compared so close around a change only.
const CLOSE: i64 = 150 * MINUTE;

/// A zone and the first year from which its changes are taken. Named are the reasons for being here.
const ZONES: [(&str, i32); 30] = [
    ("Europe/Berlin", 2015),
    ("Europe/London", 2015),
    ("Europe/Dublin", 2015), // summer is the standard time, winter is negative
    ("Europe/Lisbon", 1992), // changed its standard time on the way
    ("Atlantic/Azores", 2015), // changes at midnight
    ("America/New_York", 2015),
    ("America/St_Johns", 2000), // half an hour off, a minute past midnight
    ("America/Havana", 2015),   // back from one o'clock to midnight
    ("America/Santiago", 2015), // midnight does not exist
    ("America/Asuncion", 2012), // midnight
    ("America/Sao_Paulo", 2007), // midnight
    ("America/Godthab", 2012),  // late on Saturday evening
    ("America/Scoresbysund", 2013),
    ("Africa/Casablanca", 2012), // Ramadan
    ("Africa/Cairo", 1998),      // at midnight, Ramadan in 2010 and 2014
    ("Asia/Beirut", 2015),       // midnight
    ("Asia/Jerusalem", 2015),
    ("Asia/Gaza", 2013),   // another rule almost every year
    ("Asia/Tehran", 2010), // half an hour off, at midnight
    ("Asia/Amman", 2009),  // a year without change
    ("Asia/Damascus", 2010),
    ("Australia/Lord_Howe", 2015), // by half an hour
    ("Australia/Adelaide", 2015),
    ("Pacific/Auckland", 2015),
    ("Pacific/Chatham", 2015), // at 2:45, three quarters of an hour off
    ("Pacific/Apia", 2010),    // a day skipped in 2011
    ("Pacific/Easter", 2015),
    ("Antarctica/Troll", 2015), // by two hours
    ("Antarctica/Macquarie", 2013),
    ("Australia/Hobart", 2015),
];

/// Single changes that no zone above has: by half an hour for good, a day skipped, by three hours.
const ODD: [(&str, i32); 7] = [
    ("Australia/Eucla", 2006),
    ("America/Caracas", 2007),
    ("Asia/Pyongyang", 2015),
    ("Pacific/Kwajalein", 1993),
    ("Pacific/Kiritimati", 1994),
    ("Antarctica/Casey", 2009),
    ("Pacific/Norfolk", 2015),
];

/// What every form says of a day, of a minute of any day and of a minute of any week: one bit a form.
struct Reader {
    days: BTreeMap<NaiveDate, u64>,
    minutes: Vec<u64>,
    week: Vec<u64>,
    steps: u64,
    elapsed: u64,
    fixed: u64,
    ticks: u64,
}

impl Reader {
    fn new() -> Self {
        let minute = |minute| bits(|form| form.at_minute(minute));
        let of_week = |minute| bits(|form| form.slot_minutes().contains(&minute));
        Self {
            days: BTreeMap::new(),
            minutes: (0..24 * 60).map(minute).collect(),
            week: (0..7 * 24 * 60).map(of_week).collect(),
            steps: bits(|form| matches!(form.reading, Reading::Steps(_))),
            elapsed: bits(|form| form.reading == Reading::Elapsed),
            fixed: bits(Form::is_fixed),
            ticks: bits(|form| matches!(form.reading, Reading::Ticks(_))),
        }
    }

    /// The forms that name this local minute.
    fn matching(&mut self, local: NaiveDateTime) -> u64 {
        let date = local.date();
        let day = *(self.days.entry(date)).or_insert_with(|| bits(|form| form.on_day(date)));
        let minute = (local.hour() * 60 + local.minute()) as usize;
        let weekday = date.weekday().num_days_from_monday() as usize;
        let steps = which(self.steps, |form| form.steps_to(local));
        (day & self.minutes[minute]) | self.week[weekday * 24 * 60 + minute] | steps
    }
}

fn bits(holds: impl Fn(&Form) -> bool) -> u64 {
    which((1 << FORMS.len()) - 1, holds)
}

fn which(mut among: u64, holds: impl Fn(&Form) -> bool) -> u64 {
    let mut all = 0;
    while among != 0 {
        let place = among.trailing_zeros();
        among &= among - 1;
        if holds(&FORMS[place as usize]) {
            all |= 1 << place;
        }
    }
    all
}

/// When each form fires in one walk.
fn expected(reader: &mut Reader, zone: Tz, from: i64, to: i64) -> Vec<Vec<i64>> {
    let mut fired = vec![Vec::new(); FORMS.len()];
    let mut furthest = local_of(zone, from);
    let mut now = from;
    while now < to {
        now += MINUTE;
        let local = local_of(zone, now);
        let shown = reader.matching(local);
        // Shown now, in whichever pass.
        let mut hit = shown & reader.elapsed;
        // Shown, or leapt over, for the first time ever.
        while furthest < local {
            furthest += Duration::minutes(1);
            let named = if furthest == local {
                shown
            } else {
                reader.matching(furthest)
            };
            hit |= named & reader.fixed;
        }
        hit |= which(reader.ticks, |form| form.ticks(now));
        while hit != 0 {
            fired[hit.trailing_zeros() as usize].push(now);
            hit &= hit - 1;
        }
    }
    fired
}

fn fired(schedule: &CompiledSchedule, from: i64, to: i64) -> Vec<i64> {
    let mut after = from;
    std::iter::from_fn(|| {
        let next = schedule.next_after(after)?.at_micros;
        assert!(next > after);
        after = next;
        (next <= to).then_some(next)
    })
    .collect()
}

/// Seconds ahead of UTC, from local time alone.
fn ahead(zone: Tz, micros: i64) -> i64 {
    local_of(zone, micros).and_utc().timestamp() - micros.div_euclid(1_000_000)
}

/// The minutes at which clocks change, from a year on.
fn changes(zone: Tz, year: i32, most: usize) -> Vec<i64> {
    let start = at(&format!("{year}-01-01T00:00:00Z"));
    let end = at("2037-01-01T00:00:00Z");
    let mut found = Vec::new();
    let mut day = start;
    while found.len() < most && day < end {
        let next = day + 24 * HOUR;
        if ahead(zone, day) != ahead(zone, next) {
            // No zone changes twice a day and back to where it was.
            let (mut low, mut high) = (day, next);
            while high - low > MINUTE {
                let middle = low + (high - low) / 2 / MINUTE * MINUTE;
                if ahead(zone, middle) == ahead(zone, day) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            found.push(high);
        }
        day = next;
    }
    found
}

/// Compares all forms at each of these changes; answers how many pairs that were.
fn compare(reader: &mut Reader, name: &str, changes: &[i64]) -> usize {
    let zone: Tz = name.parse().unwrap();
    let compiled: Vec<CompiledSchedule> = FORMS.iter().map(|form| form.compile(name)).collect();
    for change in changes {
        let leap = ahead(zone, *change) - ahead(zone, change - MINUTE);
        let around = if leap.abs() > 4 * 3600 {
            FAR_AROUND
        } else {
            AROUND
        };
        let (from, to) = (change - around, change + around);
        let expected = expected(reader, zone, from, to);
        for ((form, schedule), expected) in FORMS.iter().zip(&compiled).zip(&expected) {
            let (from, to) = match form.is_dense() {
                true => (change - CLOSE, change + CLOSE),
                false => (from, to),
            };
            let expected: Vec<i64> = (expected.iter().copied())
                .filter(|at| *at > from && *at <= to)
                .collect();
            assert_eq!(
                fired(schedule, from, to),
                expected,
                "{} in {name} at {change}",
                form.text
            );
        }
    }
    changes.len() * FORMS.len()
}

#[test]
fn every_form_keeps_the_policy_at_every_change_of_every_zone() {
    let mut reader = Reader::new();
    let mut compared = 0;
    for (name, year) in ZONES {
        let zone: Tz = name.parse().unwrap();
        let changes = changes(zone, year, CHANGES);
        // Samoa gave its summer time up.
        let wanted = if name == "Pacific/Apia" { 23 } else { CHANGES };
        assert_eq!(changes.len(), wanted, "{name}");
        compared += compare(&mut reader, name, &changes);
    }
    for (name, year) in ODD {
        let changes = changes(name.parse().unwrap(), year, 4);
        assert!(!changes.is_empty(), "{name}");
        compared += compare(&mut reader, name, &changes);
    }
    assert!(compared >= 24 * 30 * 40, "only {compared} pairs");
}

#[test]
fn a_single_local_time_keeps_the_policy_at_every_change() {
    for (name, year) in ZONES.into_iter().chain(ODD) {
        let zone: Tz = name.parse().unwrap();
        for change in changes(zone, year, CHANGES) {
            for minutes in [-90, -61, -30, -1, 0, 15, 30, 59, 61, 90] {
                let wanted = local_of(zone, change - MINUTE) + Duration::minutes(minutes);
                let expected = first_shown_or_leapt_over(zone, change, wanted);
                let text = wanted.format("%Y-%m-%dT%H:%M").to_string();
                let schedule = crate::schedule::Schedule::At {
                    at: text.clone(),
                    zone: Some(name.to_owned()),
                };
                let schedule = schedule.compile().unwrap();
                let found = schedule.next_after(change - AROUND).unwrap().at_micros;
                assert_eq!(found, expected, "{text} in {name}");
                assert_eq!(schedule.next_after(found), None);
            }
        }
    }
}

fn first_shown_or_leapt_over(zone: Tz, change: i64, wanted: NaiveDateTime) -> i64 {
    (0..)
        .map(|step| change - 4 * HOUR + step * MINUTE)
        .find(|now| local_of(zone, *now) >= wanted)
        .unwrap()
}

/// Another crate's own walk through local time. Clock changes are left out: how it treats several times
/// in one gap is its own affair.
#[test]
fn cron_agrees_with_another_crate_between_the_changes() {
    let mut compared = 0;
    for (name, year) in ZONES {
        let zone: Tz = name.parse().unwrap();
        let changes = changes(zone, year, CHANGES);
        // It takes every two day fields for alternatives, stars included.
        let forms = FORMS
            .iter()
            .filter(|form| form.kind == "cron" && !form.text.contains("*/1 "));
        for form in forms {
            let theirs: croner::Cron = form.text.parse().unwrap();
            let ours = form.compile(name);
            for (change, hours) in changes
                .iter()
                .step_by(5)
                .flat_map(|at| [(at, 3), (at, 29), (at, 48)])
            {
                let from = change + hours * HOUR + 17 * MINUTE;
                let next = ours.next_after(from).unwrap().at_micros;
                if changes
                    .iter()
                    .any(|other| (from - 3 * HOUR..next + 3 * HOUR).contains(other))
                {
                    continue;
                }
                let start = zone
                    .from_utc_datetime(&DateTime::from_timestamp_micros(from).unwrap().naive_utc());
                let found = theirs.find_next_occurrence(&start, false).unwrap();
                assert_eq!(
                    found.timestamp_micros(),
                    next,
                    "{} in {name} after {start}",
                    form.text
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 5_000, "only {compared} could be compared");
}
