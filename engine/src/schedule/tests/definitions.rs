//! Owns the tests of what definitions mean and which are refused, away from clock changes.

use super::{at, cron, cron_of, locals, rule};
use crate::schedule::duration::{DAY, MINUTE};
use crate::schedule::{MAX_OCCURRENCES, Schedule, ScheduleError, next_free_slot};
use std::collections::BTreeSet;

fn read(json: &str) -> Schedule {
    serde_json::from_str(json).unwrap()
}

fn refused(json: &str) -> ScheduleError {
    read(json).compile().expect_err(json)
}

#[test]
fn every_form_reads_and_writes_the_same_json() {
    for json in [
        r#"{"kind":"at","at":"2026-03-29T09:30","zone":"Europe/Berlin"}"#,
        r#"{"kind":"cron","expression":"0 9 * * MON-FRI","zone":"UTC"}"#,
        r#"{"kind":"every","every":"15m"}"#,
        r#"{"kind":"recurrence","rrule":"FREQ=DAILY","start":"2026-01-01T09:00","zone":"UTC","except":["2026-01-02"]}"#,
        r#"{"kind":"slots","zone":"UTC","slots":[{"weekday":"monday","time":"09:30"}]}"#,
    ] {
        let schedule = read(json);
        assert!(
            schedule.compile().unwrap().next_after(0).is_some(),
            "{json}"
        );
        assert_eq!(serde_json::to_string(&schedule).unwrap(), json);
    }
    let unknown = r#"{"kind":"every","every":"15m","zone":"UTC"}"#;
    assert!(serde_json::from_str::<Schedule>(unknown).is_err());
    let schema = serde_json::to_string(&schemars::schema_for!(Schedule)).unwrap();
    assert!(schema.contains("five fields"));
}

#[test]
fn refusals_name_the_field_and_suggest_what_was_meant() {
    for (json, field, suggestion) in [
        (
            r#"{"kind":"cron","expression":"0 9 * * *","zone":"Europe/Berln"}"#,
            "/zone",
            Some("Europe/Berlin"),
        ),
        (
            r#"{"kind":"cron","expression":"0 9 * * *","zone":"europe/berlin"}"#,
            "/zone",
            Some("Europe/Berlin"),
        ),
        (
            r#"{"kind":"cron","expression":"0 9 * * *","zone":""}"#,
            "/zone",
            None,
        ),
        (
            r#"{"kind":"cron","expression":"@dayly","zone":"UTC"}"#,
            "/expression",
            Some("@daily"),
        ),
        (
            r#"{"kind":"cron","expression":"0 0 9 * * *","zone":"UTC"}"#,
            "/expression",
            Some("0 9 * * *"),
        ),
        (
            r#"{"kind":"cron","expression":"0 9 * * MUN","zone":"UTC"}"#,
            "/expression",
            Some("MON"),
        ),
        (r#"{"kind":"at","at":"2026-03-29T09:30"}"#, "/zone", None),
        (r#"{"kind":"at","at":"tomorrow","zone":"UTC"}"#, "/at", None),
        (r#"{"kind":"every","every":"30s"}"#, "/every", None),
        (r#"{"kind":"every","every":"15"}"#, "/every", Some("15m")),
        (
            r#"{"kind":"every","every":"1h","anchor":"2026-01-01T00:00"}"#,
            "/anchor",
            None,
        ),
        (
            r#"{"kind":"slots","zone":"UTC","slots":[]}"#,
            "/slots",
            None,
        ),
        (
            r#"{"kind":"slots","zone":"UTC","slots":[{"weekday":"monday","time":"24:00"}]}"#,
            "/slots/0/time",
            None,
        ),
        (
            r#"{"kind":"recurrence","rrule":"FREQ=DAILY","start":"2026-13-01T00:00","zone":"UTC"}"#,
            "/start",
            None,
        ),
        (
            r#"{"kind":"recurrence","rrule":"FREQ=DAILY","start":"2026-12-01T00:00","zone":"UTC","extra":["x"]}"#,
            "/extra/0",
            None,
        ),
    ] {
        let error = refused(json);
        assert_eq!(error.field, field, "{json}");
        assert_eq!(error.suggestion.as_deref(), suggestion, "{json}");
        assert!(!error.reason.is_empty() && !error.next_step.is_empty());
    }
}

#[test]
fn cron_expressions_that_cannot_be_meant_are_refused() {
    for (expression, reason) in [
        ("0 9 * *", "has 4"),
        ("", "has 0"),
        ("* * * * * *", "at most once a minute"),
        ("0 0 1 1 * 2026 *", "at most once a minute"),
        ("0 0 30 2 *", "never fire"),
        ("0 0 * * L", "never fire"),
        ("60 * * * *", ""),
        ("0 22-2 * * *", ""),
        ("*/0 * * * *", ""),
        ("MON * * * *", "minute field"),
        ("0 0 * MON *", "month field"),
        ("1,,2 * * * *", "minute field"),
        ("0 0 1 * +MON", "day of week"),
        ("@reboot", "not a nickname"),
        ("é * * * *", ""),
    ] {
        let error = cron_of(expression, "UTC").compile().expect_err(expression);
        assert_eq!(error.field, "/expression");
        assert!(
            error.reason.contains(reason),
            "{expression}: {}",
            error.reason
        );
    }
    assert!(cron_of(&"1,".repeat(400), "UTC").compile().is_err());
}

#[test]
fn cron_names_nicknames_and_special_days_are_understood() {
    // 2026-01-01 is a Thursday.
    for (expression, first) in [
        ("0 9 * * mon", "2026-01-05T09:00:00"),
        ("0 9 * FEB-mar 7", "2026-02-01T09:00:00"),
        ("0 9 * * 7", "2026-01-04T09:00:00"),
        ("@midnight", "2026-01-02T00:00:00"),
        ("@Weekly", "2026-01-04T00:00:00"),
        ("@yearly", "2027-01-01T00:00:00"),
        ("0 9 L * *", "2026-01-31T09:00:00"),
        ("0 9 L 2 *", "2026-02-28T09:00:00"),
        ("0 9 * * MON#2", "2026-01-12T09:00:00"),
        ("0 9 * * 5L", "2026-01-30T09:00:00"),
        ("0 9 * * FRIL", "2026-01-30T09:00:00"),
        ("0 9 15W * ?", "2026-01-15T09:00:00"),
        ("0 0 29 2 *", "2028-02-29T00:00:00"),
    ] {
        let next = cron(expression, "UTC").next_after(at("2026-01-01T00:00:00Z"));
        assert_eq!(next.unwrap().local, first, "{expression}");
    }
}

#[test]
fn two_restricted_day_fields_are_alternatives_and_a_star_is_not_a_restriction() {
    let days = |expression: &str| {
        let list = cron(expression, "UTC").occurrences(at("2026-01-01T00:00:00Z"), 4);
        list.iter()
            .map(|one| one.local[8..10].parse().unwrap())
            .collect::<Vec<u32>>()
    };
    assert_eq!(days("0 9 13 * FRI"), [2, 9, 13, 16]);
    assert_eq!(days("0 9 * * FRI"), [2, 9, 16, 23]);
    // As in Vixie cron, a field that begins with a star narrows the other one.
    assert_eq!(days("0 9 */2 * FRI"), [9, 23, 13, 27]);
}

#[test]
fn every_is_elapsed_time_from_its_anchor() {
    let daily = read(r#"{"kind":"every","every":"1d","anchor":"2026-03-28T08:00:00+01:00"}"#);
    let daily = daily.compile().unwrap();
    let list = daily.occurrences(at("2026-01-01T00:00:00Z"), 3);
    let anchor = at("2026-03-28T07:00:00Z");
    let expected = [anchor, anchor + DAY, anchor + 2 * DAY];
    assert_eq!(
        list.iter().map(|o| o.at_micros).collect::<Vec<_>>(),
        expected
    );
    let from_epoch = read(r#"{"kind":"every","every":"7m"}"#).compile().unwrap();
    assert_eq!(from_epoch.next_after(0).unwrap().at_micros, 7 * MINUTE);
    assert_eq!(
        from_epoch.next_after(7 * MINUTE - 1).unwrap().at_micros,
        7 * MINUTE
    );
}

#[test]
fn a_single_time_fires_once() {
    let once = read(r#"{"kind":"at","at":"2026-03-29T02:30","zone":"Europe/Berlin"}"#);
    let list = once.compile().unwrap().occurrences(0, 10);
    assert_eq!(locals(&list), ["2026-03-29T03:00:00"]);
    let instant = read(r#"{"kind":"at","at":"2026-03-29T02:30:00+02:00"}"#)
        .compile()
        .unwrap();
    assert_eq!(instant.next_after(0).unwrap().local, "2026-03-29T00:30:00");
    assert!(instant.next_after(at("2026-03-29T00:30:00Z")).is_none());
}

#[test]
fn no_input_time_does_harm() {
    let slots =
        r#"{"kind":"slots","zone":"Pacific/Apia","slots":[{"weekday":"friday","time":"09:30"}]}"#;
    let schedules = [
        cron("*/5 * * * *", "America/New_York"),
        cron("30 2 29 2 *", "Europe/Berlin"),
        rule("FREQ=WEEKLY", "2026-01-01T00:00", "Asia/Tokyo"),
        rule("FREQ=HOURLY", "1900-01-01T00:00", "Europe/Amsterdam"),
        read(r#"{"kind":"every","every":"3650d"}"#)
            .compile()
            .unwrap(),
        read(slots).compile().unwrap(),
    ];
    for schedule in &schedules {
        for after in [
            i64::MIN,
            i64::MIN + 1,
            -1,
            0,
            i64::MAX / 2,
            i64::MAX - 1,
            i64::MAX,
        ] {
            let next = schedule.next_after(after);
            assert!(next.is_none_or(|next| next.at_micros > after));
        }
        assert!(schedule.next_after(i64::MIN).is_some());
        assert!(schedule.next_after(i64::MAX).is_none());
    }
}

#[test]
fn a_list_of_occurrences_is_bounded() {
    let minutely = cron("* * * * *", "UTC");
    assert_eq!(minutely.occurrences(0, usize::MAX).len(), MAX_OCCURRENCES);
    assert!(minutely.occurrences(0, 0).is_empty());
}

#[test]
fn the_first_slot_that_is_free_is_given() {
    let slots = r#"{"kind":"slots","zone":"UTC","slots":[{"weekday":"monday","time":"09:00"},
        {"weekday":"thursday","time":"09:00"},{"weekday":"monday","time":"09:00"}]}"#;
    let slots = read(slots).compile().unwrap();
    let now = at("2026-01-01T09:00:00Z");
    let mut taken = BTreeSet::new();
    for expected in [
        "2026-01-05T09:00:00",
        "2026-01-08T09:00:00",
        "2026-01-12T09:00:00",
    ] {
        let free = next_free_slot(&slots, now, &taken).unwrap();
        assert_eq!(free.local, expected);
        taken.insert(free.at_micros);
    }
    let minutely = read(r#"{"kind":"every","every":"1m"}"#).compile().unwrap();
    let full: BTreeSet<i64> = (1..=10_000).map(|minute| minute * MINUTE).collect();
    assert!(next_free_slot(&minutely, 0, &full).is_none());
}
