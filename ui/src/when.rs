//! Moments as people read them: exact, with their zone.
//!
//! Owns the page's clock and civil time. Which offset a zone has when is the browser's knowledge (`zone`); the rest is pure.
//! Invariant: a time never stands without the zone it is meant in.

mod zone;

use chrono::{DateTime, Datelike, NaiveDateTime, TimeDelta};
use so_model::time::{DAY, HOUR, MINUTE, SECOND, Timestamp};

pub use self::zone::{browser_zone, is_known, offset};

/// The moment it is, by this browser's clock.
pub fn now() -> Timestamp {
    // Milliseconds since 1970 fit an i64 for any date a browser can hold.
    #[allow(clippy::cast_possible_truncation)]
    Timestamp::from_micros(js_sys::Date::now() as i64 * 1000)
}

/// "Tue 24 Nov, 09:00 Berlin".
pub fn words(at: Timestamp, zone: &str) -> String {
    format!("{} {}", short(at, zone), city(zone))
}

/// "Tue 24 Nov, 09:00", where the zone stands nearby.
pub fn short(at: Timestamp, zone: &str) -> String {
    let year = civil(now(), offset(zone, now())).year();
    spoken(civil(at, offset(zone, at)), year)
}

/// "09:00:03.120", for times within one run.
pub fn clock(at: Timestamp, zone: &str) -> String {
    civil(at, offset(zone, at))
        .format("%H:%M:%S%.3f")
        .to_string()
}

/// The value of an `<input type="datetime-local">`.
pub fn input_value(at: Timestamp, zone: &str) -> String {
    civil(at, offset(zone, at)).format(INPUT).to_string()
}

const INPUT: &str = "%Y-%m-%dT%H:%M";

fn civil(at: Timestamp, offset_s: i64) -> NaiveDateTime {
    at.plus(offset_s.saturating_mul(SECOND))
        .to_chrono()
        .naive_utc()
}

fn spoken(at: NaiveDateTime, this_year: i32) -> String {
    let form = if at.year() == this_year {
        "%a %-d %b, %H:%M"
    } else {
        "%a %-d %b %Y, %H:%M"
    };
    at.format(form).to_string()
}

/// The part of a zone's name that people say: `America/New_York` is New York.
pub fn city(zone: &str) -> String {
    zone.rsplit('/').next().unwrap_or(zone).replace('_', " ")
}

/// How long ago, or how long until: "3 min ago", "in 2 h".
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let micros = now.since(at);
    let size = micros.unsigned_abs();
    let unit = |unit: i64| size / unit.unsigned_abs();
    let amount = match size {
        s if s < 10 * SECOND.unsigned_abs() => return "just now".into(),
        s if s < MINUTE.unsigned_abs() => format!("{} s", unit(SECOND)),
        s if s < HOUR.unsigned_abs() => format!("{} min", unit(MINUTE)),
        s if s < DAY.unsigned_abs() => format!("{} h", unit(HOUR)),
        _ => format!("{} d", unit(DAY)),
    };
    if micros >= 0 {
        format!("{amount} ago")
    } else {
        format!("in {amount}")
    }
}

/// How long something took: "240 ms", "3.2 s", "4 min 10 s".
pub fn span(micros: i64) -> String {
    let (ms, s) = (micros / 1_000, micros / SECOND);
    match micros {
        _ if micros < SECOND => format!("{ms} ms"),
        _ if micros < 10 * SECOND => format!("{}.{} s", s, (ms % 1000) / 100),
        _ if micros < MINUTE => format!("{s} s"),
        _ if micros < HOUR => format!("{} min {} s", s / 60, s % 60),
        _ => format!("{} h {} min", s / 3600, (s % 3600) / 60),
    }
}

/// What a local time comes to in a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolved {
    /// It happens once.
    Exact(Timestamp),
    /// Clocks go back over it: it happens twice.
    Twice(Timestamp, Timestamp),
    /// Clocks go forward over it: it does not happen.
    Never,
}

/// Resolves the value of an `<input type="datetime-local">`; `None` while it is incomplete.
pub fn resolve(local: &str, zone: &str) -> Option<Resolved> {
    resolve_with(local, |at| offset(zone, at))
}

fn resolve_with(local: &str, offset_at: impl Fn(Timestamp) -> i64) -> Option<Resolved> {
    let local = NaiveDateTime::parse_from_str(local, INPUT).ok()?;
    let as_utc = Timestamp::from_chrono(DateTime::from_naive_utc_and_offset(local, chrono::Utc));
    // No zone changes twice within two days, so that one of these two offsets is the right one.
    let around = [
        as_utc.plus(-TimeDelta::days(1).num_microseconds()?),
        as_utc.plus(DAY),
    ];
    let mut found: Vec<Timestamp> = around
        .into_iter()
        .filter_map(|near| {
            let offset_s = offset_at(near);
            let at = as_utc.plus(-offset_s * SECOND);
            (offset_at(at) == offset_s).then_some(at)
        })
        .collect();
    found.sort();
    found.dedup();
    Some(match found.as_slice() {
        [] => Resolved::Never,
        [at] => Resolved::Exact(*at),
        [first, last, ..] => Resolved::Twice(*first, *last),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    /// Berlin in 2026: summer time from 29 March 01:00 UTC to 25 October 01:00 UTC.
    fn berlin(when: Timestamp) -> i64 {
        let summer = when >= at("2026-03-29T01:00:00Z") && when < at("2026-10-25T01:00:00Z");
        if summer { 7200 } else { 3600 }
    }

    #[test]
    fn a_local_time_is_exact_on_most_days() {
        assert_eq!(
            resolve_with("2026-07-01T09:30", berlin),
            Some(Resolved::Exact(at("2026-07-01T07:30:00Z")))
        );
    }

    #[test]
    fn the_hour_that_clocks_skip_is_told_and_so_is_the_one_they_repeat() {
        assert_eq!(
            resolve_with("2026-03-29T02:30", berlin),
            Some(Resolved::Never)
        );
        assert_eq!(
            resolve_with("2026-10-25T02:30", berlin),
            Some(Resolved::Twice(
                at("2026-10-25T00:30:00Z"),
                at("2026-10-25T01:30:00Z")
            ))
        );
        assert_eq!(resolve_with("2026-10-25", berlin), None);
    }

    #[test]
    fn the_year_stands_only_where_it_is_another() {
        let moment = civil(at("2026-11-24T08:00:00Z"), 3600);
        assert_eq!(spoken(moment, 2026), "Tue 24 Nov, 09:00");
        assert_eq!(spoken(moment, 2027), "Tue 24 Nov 2026, 09:00");
    }

    #[test]
    fn distances_and_spans_keep_to_the_unit_that_tells_most() {
        let now = at("2026-11-24T08:00:00Z");
        assert_eq!(distance(now.plus(-3 * MINUTE), now), "3 min ago");
        assert_eq!(distance(now.plus(2 * HOUR), now), "in 2 h");
        assert_eq!(distance(now.plus(-SECOND), now), "just now");
        assert_eq!(
            (span(240_000), span(3_240_000), span(250 * SECOND)),
            ("240 ms".into(), "3.2 s".into(), "4 min 10 s".into())
        );
    }

    #[test]
    fn zones_are_said_by_their_city() {
        assert_eq!(
            (city("America/New_York"), city("UTC")),
            ("New York".into(), "UTC".into())
        );
    }
}
