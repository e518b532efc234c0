//! Dates as feeds write them.
//!
//! Owns the reading of date text. Must not read a clock: a date without a zone is UTC. Invariant: a date is
//! either a plausible moment or nothing, never a guess at "now".

use chrono::{NaiveDate, NaiveTime};

/// Longest text taken for a date.
const MAX_DATE_CHARS: usize = 100;
/// Years that a feed's date can mean.
const YEARS: std::ops::RangeInclusive<i32> = 1970..=2200;

/// Reads a date in any of the forms seen in feeds, as microseconds since 1970.
pub fn parse_date(text: &str) -> Option<i64> {
    let text = text.trim();
    if text.is_empty() || text.chars().count() > MAX_DATE_CHARS {
        return None;
    }
    let bytes = text.as_bytes();
    if bytes.iter().all(u8::is_ascii_digit) && bytes.len() >= 9 && bytes.len() != 14 {
        return unix(text);
    }
    if bytes.len() >= 4 && bytes[..4].iter().all(u8::is_ascii_digit) {
        return iso(text);
    }
    worded(text)
}

fn unix(digits: &str) -> Option<i64> {
    let number: i64 = digits.parse().ok()?;
    let micros = match digits.len() {
        9..=11 => number.checked_mul(1_000_000)?,
        12..=13 => number.checked_mul(1_000)?,
        16 => number,
        _ => return None,
    };
    let year = chrono::DateTime::from_timestamp_micros(micros)?
        .format("%Y")
        .to_string()
        .parse()
        .ok()?;
    YEARS.contains(&year).then_some(micros)
}

/// `2026-01-31T10:20:30.5+01:00` and what people make of it.
fn iso(text: &str) -> Option<i64> {
    let (date, rest) = match text.find(['T', 't', ' ', '_']) {
        Some(at) => (&text[..at], text[at + 1..].trim()),
        None => (text, ""),
    };
    let digits: Vec<i32> = if date.contains(['-', '/', '.']) {
        date.split(['-', '/', '.'])
            .map(|part| part.parse().ok())
            .collect::<Option<_>>()?
    } else {
        let part =
            |range: std::ops::Range<usize>| date.get(range).map_or(Some(1), |d| d.parse().ok());
        if !matches!(date.len(), 4 | 6 | 8 | 14) || !date.is_ascii() {
            return None;
        }
        vec![part(0..4)?, part(4..6)?, part(6..8)?]
    };
    let compact = if date.len() == 14 {
        date.get(8..)?
    } else {
        rest
    };
    let number = |n: usize| digits.get(n).map_or(Some(1), |d| u32::try_from(*d).ok());
    let (clock, zone) = split_zone(compact);
    moment(
        digits[0],
        number(1)?,
        number(2)?,
        &clock_digits(clock),
        offset(zone)?,
    )
}

/// A clock of bare digits gets its colons.
fn clock_digits(clock: &str) -> String {
    let whole = clock.split(['.', ',']).next().unwrap_or("");
    match (whole.len(), whole.bytes().all(|b| b.is_ascii_digit())) {
        (4, true) => format!("{}:{}", &whole[..2], &whole[2..]),
        (6, true) => format!("{}:{}:{}", &whole[..2], &whole[2..4], &clock[4..]),
        _ => clock.to_owned(),
    }
}

/// Splits `10:20:30 +01:00` after the digits of the clock.
fn split_zone(text: &str) -> (&str, &str) {
    let end = text
        .find(|c: char| !(c.is_ascii_digit() || matches!(c, ':' | '.' | ',')))
        .unwrap_or(text.len());
    (&text[..end], text[end..].trim())
}

/// What was read of a date written in words.
#[derive(Default)]
struct Worded {
    day: Option<u32>,
    month: Option<u32>,
    year: Option<i32>,
    clock: String,
    afternoon: Option<bool>,
    zone: i64,
}

/// `Sat, 31 Jan 2026 10:20:30 +0100` and what people make of it.
fn worded(text: &str) -> Option<i64> {
    let mut read = Worded::default();
    for token in text
        .split(|c: char| c.is_whitespace() || c == ',')
        .filter(|token| !token.is_empty())
    {
        read.token(token)?;
    }
    let year = match read.year? {
        short @ 0..=69 => 2000 + short,
        short @ 70..=99 => 1900 + short,
        year => year,
    };
    let clock = match read.afternoon {
        Some(afternoon) => twelve_hours(&read.clock, afternoon)?,
        None => read.clock,
    };
    moment(year, read.month?, read.day?, &clock, read.zone)
}

impl Worded {
    /// Takes in one word; `None` when it spoils the date.
    fn token(&mut self, token: &str) -> Option<()> {
        let dashed: Vec<&str> = token.split(['-', '/']).collect();
        if let [d, m, y] = dashed[..]
            && let (Ok(d), Some(m), Ok(y)) = (d.parse(), month_of(m), y.parse())
        {
            (self.day, self.month, self.year) = (Some(d), Some(m), Some(y));
        } else if token.contains(':') && token.starts_with(|c: char| c.is_ascii_digit()) {
            self.clock(token)?;
        } else if let Ok(number) = token
            .trim_end_matches(['.', 's', 't', 'n', 'd', 'r', 'h'])
            .parse::<i32>()
            && !token.starts_with(['+', '-'])
        {
            if self.day.is_none() && token.len() <= 4 && number <= 31 {
                self.day = u32::try_from(number).ok();
            } else if self.year.is_none() {
                self.year = Some(number);
            }
        } else if let Some(found) = month_of(token).filter(|_| self.month.is_none()) {
            self.month = Some(found);
        } else {
            match token.to_ascii_lowercase().as_str() {
                "am" | "a.m." => self.afternoon = Some(false),
                "pm" | "p.m." => self.afternoon = Some(true),
                // Words that are no zone (week days, "at", comments) change nothing.
                _ => self.zone = offset(token).unwrap_or(self.zone),
            }
        }
        Some(())
    }

    fn clock(&mut self, token: &str) -> Option<()> {
        let (digits, rest) = split_zone(token);
        digits.clone_into(&mut self.clock);
        match rest.to_ascii_lowercase().as_str() {
            "" => {}
            "am" => self.afternoon = Some(false),
            "pm" => self.afternoon = Some(true),
            _ => self.zone = offset(rest)?,
        }
        Some(())
    }
}

fn twelve_hours(clock: &str, afternoon: bool) -> Option<String> {
    let (hour, rest) = clock.split_once(':')?;
    let hour = hour.parse::<u32>().ok()? % 12 + if afternoon { 12 } else { 0 };
    Some(format!("{hour}:{rest}"))
}

fn moment(year: i32, month: u32, day: u32, clock: &str, offset_minutes: i64) -> Option<i64> {
    if !YEARS.contains(&year) {
        return None;
    }
    let mut parts = clock.split(':');
    let hour: u32 = parts
        .next()
        .filter(|h| !h.is_empty())
        .map_or(Some(0), |h| h.parse().ok())?;
    let minute: u32 = parts.next().map_or(Some(0), |m| m.parse().ok())?;
    let seconds = parts.next().unwrap_or("0").replace(',', ".");
    let seconds: f64 = seconds
        .parse()
        .ok()
        .filter(|s: &f64| (0.0..61.0).contains(s))?;
    // 24:00 is the end of the day; a leap second is taken for the second before.
    let (hour, next_day) = if hour == 24 { (0, 1) } else { (hour, 0) };
    let time = NaiveTime::from_hms_opt(hour, minute, (seconds as u32).min(59))?;
    let date = NaiveDate::from_ymd_opt(year, month, day)? + chrono::Days::new(next_day);
    let micros = date.and_time(time).and_utc().timestamp_micros() + (seconds.fract() * 1e6) as i64;
    Some(micros - offset_minutes * 60_000_000)
}

/// The zone's offset from UTC in minutes.
fn offset(zone: &str) -> Option<i64> {
    let zone = zone.trim_matches(['(', ')', ' ']);
    let upper = zone.to_ascii_uppercase();
    let stripped = ["GMT", "UTC", "UT", "Z"]
        .iter()
        .find_map(|prefix| upper.strip_prefix(prefix))
        .unwrap_or(&upper);
    if stripped.is_empty() {
        return Some(0);
    }
    if let Some(sign) = stripped
        .chars()
        .next()
        .filter(|c| matches!(c, '+' | '-' | '\u{2212}'))
    {
        let digits = stripped[sign.len_utf8()..].replace(':', "");
        let digits: &str = digits.split_whitespace().next()?;
        let number: i64 = digits.parse().ok()?;
        let minutes = if digits.len() <= 2 {
            number * 60
        } else {
            number / 100 * 60 + number % 100
        };
        return (minutes <= 14 * 60).then_some(if sign == '+' { minutes } else { -minutes });
    }
    ZONES
        .iter()
        .find(|(name, _)| *name == upper)
        .map(|(_, minutes)| *minutes)
}

const ZONES: &[(&str, i64)] = &[
    ("EST", -300),
    ("EDT", -240),
    ("CST", -360),
    ("CDT", -300),
    ("MST", -420),
    ("MDT", -360),
    ("PST", -480),
    ("PDT", -420),
    ("AKST", -540),
    ("AKDT", -480),
    ("HST", -600),
    ("AST", -240),
    ("ADT", -180),
    ("NST", -210),
    ("NDT", -150),
    ("BRT", -180),
    ("ART", -180),
    ("WET", 0),
    ("WEST", 60),
    ("BST", 60),
    ("IST", 330),
    ("CET", 60),
    ("CEST", 120),
    ("MEZ", 60),
    ("MESZ", 120),
    ("MET", 60),
    ("MEST", 120),
    ("EET", 120),
    ("EEST", 180),
    ("SAST", 120),
    ("MSK", 180),
    ("MSD", 240),
    ("SGT", 480),
    ("HKT", 480),
    ("AWST", 480),
    ("JST", 540),
    ("KST", 540),
    ("ACST", 570),
    ("ACDT", 630),
    ("AEST", 600),
    ("AEDT", 660),
    ("NZST", 720),
    ("NZDT", 780),
    ("ET", -300),
    ("PT", -480),
];

/// The month a word means, in English and its neighbours.
fn month_of(word: &str) -> Option<u32> {
    let word = word.trim_end_matches('.').to_lowercase();
    let start: String = word.chars().take(3).collect();
    let by_start = [
        "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
    ];
    let others = [
        ("mär", 3),
        ("mrz", 3),
        ("mai", 5),
        ("okt", 10),
        ("dez", 12),
        ("fév", 2),
        ("avr", 4),
        ("jui", 6),
        ("aoû", 8),
        ("déc", 12),
        ("ene", 1),
        ("abr", 4),
        ("ago", 8),
        ("dic", 12),
        ("gen", 1),
        ("mag", 5),
        ("giu", 6),
        ("lug", 7),
        ("set", 9),
        ("ott", 10),
        ("fev", 2),
        ("out", 10),
    ];
    if word.starts_with("juil") {
        return Some(7);
    }
    // Week days share three letters with months ("Mar" is Tuesday in French), so a comma or a position cannot
    // tell them apart; a first word that is a month wins, which is right for English.
    let position = by_start.iter().position(|month| *month == start);
    let english = position.and_then(|n| u32::try_from(n + 1).ok());
    english.or_else(|| {
        others
            .iter()
            .find(|(name, _)| *name == start)
            .map(|(_, n)| *n)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_one_moment_is_read_alike() {
        // 2026-01-31T10:20:30Z
        let expected = Some(1_769_854_830_000_000);
        for text in [
            "2026-01-31T10:20:30Z",
            "2026-01-31t10:20:30z",
            "2026-01-31T11:20:30+01:00",
            "2026-01-31T11:20:30+0100",
            "2026-01-31T11:20:30+01",
            "2026-01-31 10:20:30",
            "2026-01-31 10:20:30 UTC",
            "2026-01-31T10:20:30",
            "2026-01-31T10:20:30.000Z",
            "2026-01-31T05:20:30-05:00",
            "20260131T102030Z",
            "20260131102030",
            "2026/01/31 10:20:30",
            "Sat, 31 Jan 2026 10:20:30 GMT",
            "Sat, 31 Jan 2026 11:20:30 +0100",
            "31 Jan 2026 10:20:30 UT",
            "Sat, 31 Jan 26 10:20:30 Z",
            "Sat,31 Jan 2026 10:20:30 +0000",
            "Saturday, 31 January 2026 10:20:30 GMT",
            "Sat, 31 Jan 2026 05:20:30 EST",
            "Sat, 31 Jan 2026 02:20:30 PST",
            "Sat, 31 Jan 2026 11:20:30 CET",
            "Sat, 31 Jan 2026 10:20:30 GMT+0000",
            "Sat, 31 Jan 2026 11:20:30 GMT+01:00",
            "Sat, 31 Jan 2026 10:20:30 +0000 (UTC)",
            "Thu, 31 Jan 2026 10:20:30 GMT",
            "January 31, 2026 10:20:30 AM",
            "Jan 31, 2026 10:20:30",
            "Sat Jan 31 10:20:30 UTC 2026",
            "Sat Jan 31 10:20:30 2026",
            "31-Jan-2026 10:20:30",
            "Sa, 31 Jan 2026 10:20:30 +0000",
            "Sat, 31st Jan 2026 10:20:30 GMT",
            "1769854830",
            "1769854830000",
            "  Sat,  31  Jan  2026  10:20:30  GMT  ",
            "Sat, 31 Jan 2026 15:50:30 IST",
            "Sat, 31 Jan 2026 10:20:30AM",
        ] {
            assert_eq!(parse_date(text), expected, "{text}");
        }
    }

    #[test]
    fn parts_that_are_missing_are_the_smallest() {
        let midnight = Some(1_769_817_600_000_000);
        for text in [
            "2026-01-31",
            "20260131",
            "31 Jan 2026",
            "Sat, 31 Jan 2026",
            "Jan 31, 2026",
            "Fri, 30 Jan 2026 24:00:00 GMT",
        ] {
            assert_eq!(parse_date(text), midnight, "{text}");
        }
        assert_eq!(parse_date("2026"), parse_date("2026-01-01"));
        assert_eq!(parse_date("2026-01"), parse_date("2026-01-01"));
        assert_eq!(parse_date("31. Dezember 2025"), parse_date("2025-12-31"));
        assert_eq!(
            parse_date("14 juillet 2025 10:00"),
            parse_date("2025-07-14T10:00Z")
        );
        assert_eq!(
            parse_date("12 Jan 2026 12:05 pm"),
            parse_date("2026-01-12T12:05Z")
        );
        assert_eq!(
            parse_date("2026-01-31T10:20:30.25Z"),
            Some(1_769_854_830_250_000)
        );
    }

    #[test]
    fn nonsense_is_no_date() {
        for text in [
            "",
            "yesterday",
            "0000-00-00",
            "0001-01-01T00:00:00Z",
            "2026-13-40",
            "32 Jan 2026",
            "99999999999999999999",
            "2026-01-31T99:00:00Z",
            "Sat, 31 Foo 2026",
            "-1",
            "2026-01-31T10:20:30+99:00",
            "1\u{e9}\u{e9}\u{e9}",
            "20260\u{e9}",
        ] {
            assert_eq!(parse_date(text), None, "{text}");
        }
    }
}
