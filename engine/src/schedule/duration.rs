//! Owns durations as people write them: `15m`, `1h30m`, `2d`.
//! Must not know a calendar: a day is 24 hours here. Invariant: a parsed duration is a whole
//! number of seconds between one second and ten years.

use super::ScheduleError;

/// Microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;
/// Microseconds in a minute.
pub(super) const MINUTE: i64 = 60 * SECOND;
/// Microseconds in an hour.
pub(super) const HOUR: i64 = 60 * MINUTE;
/// Microseconds in 24 hours.
pub(super) const DAY: i64 = 24 * HOUR;

/// Below a second nothing here has meaning: the scheduler itself ticks no faster.
const SHORTEST: i64 = SECOND;
/// Ten years of 365 days: beyond it a number is a typing error, and sums stay far from overflow.
const LONGEST: i64 = 3650 * DAY;
/// No sensible duration needs more: a bound on work for text from outside.
const MAX_TEXT: usize = 64;

/// Units from the longest to the shortest, the only order in which they may be written.
const UNITS: [(char, i64); 5] = [
    ('w', 7 * DAY),
    ('d', DAY),
    ('h', HOUR),
    ('m', MINUTE),
    ('s', SECOND),
];

fn wrong(reason: impl Into<String>) -> ScheduleError {
    ScheduleError::new(
        "/duration",
        reason,
        "write whole numbers with w, d, h, m or s, the longest first, such as 90s, 15m, 1h30m or 2d",
    )
}

/// Reads a duration and gives it in microseconds. Units are elapsed time (`1d` is 24 hours).
pub fn parse_duration(text: &str) -> Result<i64, ScheduleError> {
    if text.len() > MAX_TEXT {
        return Err(wrong(format!(
            "a duration has at most {MAX_TEXT} characters"
        )));
    }
    let mut total: i64 = 0;
    let mut digits = String::new();
    let mut next_unit = 0;
    for character in text.chars().filter(|c| !c.is_whitespace()) {
        if character.is_ascii_digit() {
            digits.push(character);
            continue;
        }
        let Some(place) = UNITS.iter().position(|(unit, _)| *unit == character) else {
            return Err(wrong(format!("{character:?} is not a unit of time")));
        };
        if digits.is_empty() {
            return Err(wrong(format!("{character:?} has no number before it")));
        }
        if place < next_unit {
            return Err(wrong(format!("{character:?} is repeated or out of order")));
        }
        next_unit = place + 1;
        total = digits
            .parse::<i64>()
            .ok()
            .and_then(|number| number.checked_mul(UNITS[place].1))
            .and_then(|part| part.checked_add(total))
            .ok_or_else(|| wrong("the number is too large"))?;
        digits.clear();
    }
    if !digits.is_empty() {
        return Err(wrong(format!("{digits} has no unit after it"))
            .suggest(text.trim().parse::<u32>().ok().map(|n| format!("{n}m"))));
    }
    if total < SHORTEST {
        return Err(wrong("a duration is at least one second"));
    }
    if total > LONGEST {
        return Err(wrong("a duration is at most ten years (3650d)"));
    }
    Ok(total)
}

/// Writes microseconds as `parse_duration` reads them; parts of a second are dropped.
pub fn format_duration(micros: i64) -> String {
    let mut rest = micros.unsigned_abs() / SECOND.unsigned_abs();
    let mut text = String::new();
    if micros < 0 && rest > 0 {
        text.push('-');
    }
    // Weeks are left out: "14d" is read faster than "2w" and both parse to the same value.
    for (unit, size) in &UNITS[1..] {
        let size = size.unsigned_abs() / SECOND.unsigned_abs();
        if rest >= size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn compound_durations_are_read() {
        assert_eq!(parse_duration("1h30m").unwrap(), 90 * MINUTE);
        assert_eq!(parse_duration(" 2w 1d ").unwrap(), 15 * DAY);
        assert_eq!(parse_duration("3650d").unwrap(), LONGEST);
        assert_eq!(parse_duration("1s").unwrap(), SECOND);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["1s", "1m30s", "1h30m", "2d", "10d1h1m1s", "3650d"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
        assert_eq!(format_duration(0), "0s");
        assert_eq!(format_duration(-MINUTE), "-1m");
        assert_eq!(format_duration(i64::MIN).chars().next(), Some('-'));
    }

    #[test]
    fn malformed_durations_are_refused() {
        for text in [
            "",
            "m",
            "1",
            "0s",
            "1x",
            "30m1h",
            "1m1m",
            "3651d",
            "1.5h",
            "-1h",
            "1ms",
            "\u{661}m",
            "99999999999999999999d",
            "9223372036854775807w",
        ] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
        assert!(parse_duration(&"1".repeat(100)).is_err());
        let bare = parse_duration("15").unwrap_err();
        assert_eq!(bare.suggestion.as_deref(), Some("15m"));
    }
}
