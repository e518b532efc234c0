//! Owns the passage from local time to instants and back, and the one daylight-saving policy.
//! Must not know which form of schedule asked. Invariant: `resolve` is monotone, so an order
//! found in local time is an order in time.

use super::error::{ScheduleError, closest};
use super::{Decision, Occurrence, Pass};
use chrono::{
    DateTime, Datelike, Duration, MappedLocalTime, NaiveDate, NaiveDateTime, Offset, TimeZone, Utc,
};
use chrono_tz::{TZ_VARIANTS, Tz};

/// 1900-01-01: nothing fires earlier, so that searches from any input stay short.
pub(super) const EARLIEST: i64 = -2_208_988_800_000_000;
/// 9000-01-01: nothing fires later, which keeps date arithmetic far from its limits.
const LATEST: i64 = 221_845_392_000_000_000;
/// Local dates an author may write lie in these years.
const YEARS: std::ops::RangeInclusive<i32> = 1900..=2999;
/// More than any offset from UTC plus the largest jump on record (24 hours).
const AROUND: Duration = Duration::hours(48);
/// How occurrences show local time.
pub(super) const LOCAL_FORMAT: &str = "%Y-%m-%dT%H:%M:%S";

/// Reads an IANA zone name, suggesting the nearest one when it is unknown.
pub(super) fn parse_zone(field: &str, name: &str) -> Result<Tz, ScheduleError> {
    if let Ok(zone) = name.parse::<Tz>() {
        return Ok(zone);
    }
    let short: String = name.chars().take(64).collect();
    let suggestion = closest(&short, TZ_VARIANTS.iter().map(|zone| zone.name()));
    Err(ScheduleError::new(
        field,
        format!("{short:?} is not a known time zone"),
        "use a name from the IANA time zone database, such as Europe/Berlin or UTC",
    )
    .suggest(suggestion))
}

/// Reads `YYYY-MM-DDTHH:MM[:SS]`.
pub(super) fn parse_local(field: &str, text: &str) -> Result<NaiveDateTime, ScheduleError> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S")
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M"))
        .ok()
        // A leap second has no place in local time as people set it.
        .filter(|local| {
            YEARS.contains(&local.year()) && local.and_utc().timestamp_subsec_nanos() == 0
        })
        .ok_or_else(|| {
            ScheduleError::new(
                field,
                "the value is not a local date and time between the years 1900 and 2999",
                "write it as YYYY-MM-DDTHH:MM, such as 2026-03-29T09:30",
            )
        })
}

/// Reads `YYYY-MM-DD`.
pub(super) fn parse_date(text: &str) -> Option<NaiveDate> {
    let date = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok()?;
    YEARS.contains(&date.year()).then_some(date)
}

/// Reads RFC 3339 into microseconds.
pub(super) fn parse_instant(text: &str) -> Option<i64> {
    let at = DateTime::parse_from_rfc3339(text).ok()?;
    YEARS.contains(&at.year()).then(|| at.timestamp_micros())
}

/// Brings an input instant into the range that is searched; `None` when nothing can follow it.
pub(super) fn clamp(micros: i64) -> Option<i64> {
    (micros < LATEST).then(|| micros.max(EARLIEST - 1))
}

fn utc(micros: i64) -> NaiveDateTime {
    DateTime::<Utc>::from_timestamp_micros(micros.clamp(EARLIEST * 2, LATEST * 2))
        .unwrap_or_default()
        .naive_utc()
}

fn micros_of(naive_utc: NaiveDateTime) -> i64 {
    naive_utc.and_utc().timestamp_micros()
}

/// Seconds that local time is ahead of UTC at this instant.
pub(super) fn offset_at(zone: Tz, micros: i64) -> i64 {
    let offset = zone.offset_from_utc_datetime(&utc(micros));
    i64::from(offset.fix().local_minus_utc())
}

/// Local time at this instant.
pub(super) fn local_at(zone: Tz, micros: i64) -> NaiveDateTime {
    utc(micros) + Duration::seconds(offset_at(zone, micros))
}

/// The instants at which clocks show `local`: none, one or two (the earlier first).
pub(super) fn instants_of(zone: Tz, local: NaiveDateTime) -> (Option<i64>, Option<i64>) {
    match zone.from_local_datetime(&local) {
        MappedLocalTime::None => (None, None),
        MappedLocalTime::Single(at) => (Some(at.timestamp_micros()), None),
        MappedLocalTime::Ambiguous(one, other) => {
            let (one, other) = (one.timestamp_micros(), other.timestamp_micros());
            (Some(one.min(other)), Some(one.max(other)))
        }
    }
}

/// The first whole second in `(low, high]` for which `reached` holds; it must hold at `high`.
pub(super) fn first_second(low: i64, high: i64, reached: impl Fn(i64) -> bool) -> i64 {
    const SECOND: i64 = super::duration::SECOND;
    let (mut low, mut high) = (low.div_euclid(SECOND), high.div_euclid(SECOND));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if reached(middle * SECOND) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high * SECOND
}

/// The instant at which the gap that swallowed `local` ends.
pub(super) fn end_of_gap(zone: Tz, local: NaiveDateTime) -> i64 {
    let low = micros_of(local - AROUND);
    let high = micros_of(local + AROUND);
    first_second(low, high, |at| local_at(zone, at) >= local)
}

/// The policy: a local time that is skipped becomes the first one after the gap, a local time
/// that comes twice is taken the first time only.
pub(super) fn resolve(zone: Tz, local: NaiveDateTime) -> (i64, Decision) {
    match instants_of(zone, local) {
        (Some(at), None) => (at, Decision::Normal),
        (Some(at), Some(_)) => (at, Decision::DoubledHour { which: Pass::First }),
        (None, _) => {
            let wanted = local.format(LOCAL_FORMAT).to_string();
            (end_of_gap(zone, local), Decision::SkippedHour { wanted })
        }
    }
}

/// What there is to say of an instant that was found by elapsed time.
pub(super) fn describe(zone: Tz, micros: i64) -> Decision {
    match instants_of(zone, local_at(zone, micros)) {
        (Some(first), Some(_)) if first == micros => Decision::DoubledHour { which: Pass::First },
        (Some(_), Some(_)) => Decision::DoubledHour {
            which: Pass::Second,
        },
        _ => Decision::Normal,
    }
}

/// An occurrence at this instant, shown in this zone.
pub(super) fn occurrence(zone: Tz, at_micros: i64, decision: Decision) -> Occurrence {
    Occurrence {
        at_micros,
        local: local_at(zone, at_micros).format(LOCAL_FORMAT).to_string(),
        zone: zone.name().to_owned(),
        decision,
    }
}
