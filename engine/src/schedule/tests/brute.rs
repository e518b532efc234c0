//! Owns a second, independent implementation of the policy: it walks through time minute by
//! minute, knows local time only from UTC, and never asks which instants a local time has.

use super::{at, cron, locals, rule};
use crate::schedule::duration::{HOUR, MINUTE};
use crate::schedule::{CompiledSchedule, Decision, Pass, Schedule};
use chrono::{DateTime, Datelike, NaiveDateTime, Offset, TimeZone, Timelike};
use chrono_tz::Tz;

/// One more than any other zone here: skipped days, half hours, two hours, midnights, a minute
/// past midnight, summer time that is called winter time, Ramadan.
const PLACES: [(&str, i32); 18] = [
    ("Europe/Berlin", 2026),
    ("Europe/London", 2026),
    ("Europe/Dublin", 2026),
    ("America/New_York", 2026),
    ("America/Santiago", 2026),
    ("America/Sao_Paulo", 2018),
    ("America/St_Johns", 2006),
    ("America/Havana", 2025),
    ("Australia/Lord_Howe", 2026),
    ("Africa/Casablanca", 2026),
    ("Africa/Cairo", 2026),
    ("Asia/Tehran", 2021),
    ("Asia/Beirut", 2026),
    ("Asia/Gaza", 2022),
    ("Pacific/Apia", 2011),
    ("Pacific/Chatham", 2026),
    ("Pacific/Kwajalein", 1993),
    ("Antarctica/Troll", 2026),
];

const FIXED: [&str; 9] = [
    "30 2 * * *",
    "0 0 * * *",
    "0,15,30,45 0,1,2,3 * * *",
    "59 23 * * *",
    "10-50/20 1-3 * * *",
    "30 2 * * 0",
    "0 3 * * *",
    "45 1,2 29,30,31 * 6,0",
    "7 0,2 1-28/3 3,4,9,10,11 *",
];

const STARRED: [&str; 9] = [
    "* * * * *",
    "*/5 * * * *",
    "0 * * * *",
    "30 * * * *",
    "*/30 2 * * *",
    "15 */2 * * *",
    "0-59/20 0-3 * * *",
    "0 0-23/3 * * *",
    "*/15 1,2 * * 0",
];

struct Minute {
    micros: i64,
    local: NaiveDateTime,
}

pub(super) fn local_of(zone: Tz, micros: i64) -> NaiveDateTime {
    let utc = DateTime::from_timestamp_micros(micros).unwrap().naive_utc();
    let offset = zone.offset_from_utc_datetime(&utc).fix();
    utc + chrono::Duration::seconds(i64::from(offset.local_minus_utc()))
}

fn minutes(zone: Tz, from: i64, to: i64) -> Vec<Minute> {
    let steps = (to - from) / MINUTE;
    let at = |step| from + step * MINUTE;
    (0..=steps)
        .map(|step| Minute {
            micros: at(step),
            local: local_of(zone, at(step)),
        })
        .collect()
}

/// The hours of a year after which clocks have changed.
fn edges(zone: Tz, year: i32) -> Vec<i64> {
    let start = at(&format!("{year}-01-01T00:00:00Z"));
    let ahead = |micros: i64| local_of(zone, micros).and_utc().timestamp_micros() - micros;
    (0..365 * 24)
        .map(|hour| start + hour * HOUR)
        .filter(|hour| ahead(*hour) != ahead(hour + HOUR))
        .collect()
}

fn field_holds(field: &str, value: u32, first: u32, last: u32) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let (low, high) = match range {
            "*" => (first, last),
            _ => {
                let (low, high) = range.split_once('-').unwrap_or((range, range));
                (low.parse().unwrap(), high.parse().unwrap())
            }
        };
        let step: u32 = step.parse().unwrap();
        (low..=high).contains(&value) && (value - low).is_multiple_of(step)
    })
}

fn holds(expression: &str, local: NaiveDateTime) -> bool {
    let field: Vec<&str> = expression.split(' ').collect();
    let day = field_holds(field[2], local.day(), 1, 31);
    let weekday = field_holds(field[4], local.weekday().num_days_from_sunday(), 0, 7);
    let either = !field[2].starts_with('*') && !field[4].starts_with('*');
    field_holds(field[0], local.minute(), 0, 59)
        && field_holds(field[1], local.hour(), 0, 23)
        && field_holds(field[3], local.month(), 1, 12)
        && if either {
            day || weekday
        } else {
            day && weekday
        }
}

/// Fires when clocks, for the first time ever, show a matching time or leap past one.
fn brute_fixed(walk: &[Minute], matches: impl Fn(NaiveDateTime) -> bool) -> Vec<i64> {
    let minute = chrono::Duration::minutes(1);
    let mut furthest = walk[0].local;
    let mut fired = Vec::new();
    for now in &walk[1..] {
        let mut hit = false;
        while furthest < now.local {
            furthest += minute;
            hit |= matches(furthest);
        }
        if hit {
            fired.push(now.micros);
        }
    }
    fired
}

/// Fires whenever clocks show a matching time.
fn brute_starred(walk: &[Minute], expression: &str) -> Vec<i64> {
    let shown = walk[1..].iter().filter(|now| holds(expression, now.local));
    shown.map(|now| now.micros).collect()
}

fn fired(schedule: &CompiledSchedule, walk: &[Minute]) -> Vec<i64> {
    let (mut after, end) = (walk[0].micros, walk[walk.len() - 1].micros);
    let mut found = Vec::new();
    while let Some(next) = schedule.next_after(after).filter(|n| n.at_micros <= end) {
        assert!(next.at_micros > after);
        after = next.at_micros;
        found.push(after);
    }
    found
}

fn each_edge(mut check: impl FnMut(&str, i64, &[Minute])) {
    for (name, year) in PLACES {
        let zone: Tz = name.parse().unwrap();
        let edges = edges(zone, year);
        assert!(!edges.is_empty(), "{name} {year} has no edge");
        for edge in edges {
            let walk = minutes(zone, edge - 40 * HOUR, edge + 40 * HOUR);
            check(name, edge, &walk);
        }
    }
}

#[test]
fn fixed_cron_agrees_with_the_walk_through_every_edge() {
    each_edge(|zone, edge, walk| {
        for expression in FIXED {
            let expected = brute_fixed(walk, |local| holds(expression, local));
            let found = fired(&cron(expression, zone), walk);
            assert_eq!(found, expected, "{expression} in {zone} at {edge}");
        }
    });
}

#[test]
fn starred_cron_agrees_with_the_walk_through_every_edge() {
    each_edge(|zone, edge, walk| {
        for expression in STARRED {
            let expected = brute_starred(walk, expression);
            let found = fired(&cron(expression, zone), walk);
            assert_eq!(found, expected, "{expression} in {zone} at {edge}");
        }
    });
}

#[test]
fn rules_and_slots_agree_with_the_walk_through_every_edge() {
    let slots = r#"[{"weekday":"sunday","time":"02:30"},{"weekday":"sunday","time":"00:00"},
        {"weekday":"saturday","time":"23:45"},{"weekday":"friday","time":"12:00"},
        {"weekday":"friday","time":"00:15"},{"weekday":"thursday","time":"02:10"}]"#;
    let in_slot = |local: NaiveDateTime| {
        let day = local.weekday().num_days_from_sunday();
        [
            (0, 2, 30),
            (0, 0, 0),
            (6, 23, 45),
            (5, 12, 0),
            (5, 0, 15),
            (4, 2, 10),
        ]
        .contains(&(day, local.hour(), local.minute()))
    };
    let text = "FREQ=DAILY;BYHOUR=0,1,2,3;BYMINUTE=0,15,30,45";
    each_edge(|zone, edge, walk| {
        let expected = brute_fixed(walk, |local| holds(FIXED[2], local));
        let found = fired(&rule(text, "1990-01-01T00:00", zone), walk);
        assert_eq!(found, expected, "rule in {zone} at {edge}");
        let expected = brute_fixed(walk, |local| local.minute() == 20);
        let found = fired(&rule("FREQ=HOURLY", "1990-01-01T00:20", zone), walk);
        assert_eq!(found, expected, "hourly rule in {zone} at {edge}");
        let schedule = format!(r#"{{"kind":"slots","zone":"{zone}","slots":{slots}}}"#);
        let schedule: Schedule = serde_json::from_str(&schedule).unwrap();
        let found = fired(&schedule.compile().unwrap(), walk);
        assert_eq!(
            found,
            brute_fixed(walk, in_slot),
            "slots in {zone} at {edge}"
        );
    });
}

#[test]
fn a_search_may_begin_at_any_moment_around_an_edge() {
    each_edge(|zone, edge, walk| {
        for (expression, starred) in [(FIXED[2], false), (STARRED[4], true), (STARRED[0], true)] {
            let expected = match starred {
                true => brute_starred(walk, expression),
                false => brute_fixed(walk, |local| holds(expression, local)),
            };
            let schedule = cron(expression, zone);
            // Seven minutes and an odd microsecond meet every kind of moment soon enough.
            for step in -30..30 {
                for after in [edge + step * 7 * MINUTE, edge + step * 7 * MINUTE - 1] {
                    let place = expected.partition_point(|fired| *fired <= after);
                    let next = schedule.next_after(after).map(|next| next.at_micros);
                    if let Some(expected) = expected.get(place) {
                        assert_eq!(next, Some(*expected), "{expression} {zone} after {after}");
                    }
                }
            }
        }
    });
}

#[test]
fn a_skipped_local_time_is_told_and_moved_to_the_end_of_the_gap() {
    let next = cron("30 2 * * *", "Europe/Berlin").next_after(at("2026-03-29T00:00:00Z"));
    let next = next.unwrap();
    assert_eq!(next.at_micros, at("2026-03-29T01:00:00Z"));
    assert_eq!(next.local, "2026-03-29T03:00:00");
    let wanted = "2026-03-29T02:30:00".to_owned();
    assert_eq!(next.decision, Decision::SkippedHour { wanted });
    let sentence = next.explanation();
    assert!(sentence.contains("2026-03-29 02:30 does not exist in Europe/Berlin"));
    let json = serde_json::to_value(&next).unwrap();
    assert_eq!(json["decision"]["kind"], "skipped_hour");
}

#[test]
fn two_local_times_on_one_instant_count_once() {
    let both = cron("0,30 2,3 * * *", "Europe/Berlin").occurrences(at("2026-03-28T22:00:00Z"), 3);
    let expected = [
        "2026-03-29T03:00:00",
        "2026-03-29T03:30:00",
        "2026-03-30T02:00:00",
    ];
    assert_eq!(locals(&both), expected);
}

#[test]
fn a_doubled_local_time_fires_at_the_first_instant_only() {
    let list = cron("30 1 * * *", "Europe/London").occurrences(at("2026-10-24T12:00:00Z"), 2);
    assert_eq!(list[0].at_micros, at("2026-10-25T00:30:00Z"));
    assert_eq!(
        list[0].decision,
        Decision::DoubledHour { which: Pass::First }
    );
    assert!(list[0].explanation().contains("comes twice"));
    assert_eq!(list[1].at_micros, at("2026-10-26T01:30:00Z"));
}

#[test]
fn an_elapsed_expression_fires_in_both_passes_and_says_so() {
    let list = cron("0 * * * *", "Europe/London").occurrences(at("2026-10-24T23:30:00Z"), 4);
    let hours: Vec<i64> = list
        .windows(2)
        .map(|p| p[1].at_micros - p[0].at_micros)
        .collect();
    assert_eq!(hours, [HOUR, HOUR, HOUR]);
    assert_eq!(
        list[0].decision,
        Decision::DoubledHour { which: Pass::First }
    );
    assert_eq!(
        list[1].decision,
        Decision::DoubledHour {
            which: Pass::Second
        }
    );
    assert_eq!(list[2].decision, Decision::Normal);
}

#[test]
fn a_skipped_day_fires_once_where_it_ends() {
    let list = cron("0 9 * * *", "Pacific/Apia").occurrences(at("2011-12-29T12:00:00Z"), 3);
    let expected = [
        "2011-12-29T09:00:00",
        "2011-12-31T00:00:00",
        "2011-12-31T09:00:00",
    ];
    assert_eq!(locals(&list), expected);
}
