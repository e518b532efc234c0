//! Owns the tests of calendar rules, with the rrule library as the second opinion on expansion.

use super::{at, locals, rule, rule_of};
use crate::schedule::Schedule;
use chrono::NaiveDateTime;
use rrule::{RRule, RRuleSet, Unvalidated};

const AGREED: [(&str, &str); 36] = [
    ("FREQ=MONTHLY", "2020-01-01T00:00"),
    ("FREQ=WEEKLY;INTERVAL=4", "2020-01-06T00:00"),
    ("FREQ=DAILY", "2020-02-28T09:30"),
    ("FREQ=DAILY;INTERVAL=10", "2020-02-28T09:30"),
    ("FREQ=DAILY;BYMONTH=1;BYDAY=MO,TU", "2020-02-28T09:30"),
    ("FREQ=DAILY;BYHOUR=9,17;BYMINUTE=0,30", "2020-02-28T09:30"),
    ("FREQ=DAILY;BYHOUR=9,17;BYSETPOS=-1", "2020-02-28T09:30"),
    ("FREQ=DAILY;BYMONTHDAY=-1,15", "2020-02-28T09:30"),
    ("FREQ=WEEKLY", "2020-02-28T09:30"),
    ("FREQ=WEEKLY;BYDAY=MO,TH", "2020-02-28T09:30"),
    ("FREQ=WEEKLY;INTERVAL=2;BYDAY=SU,MO", "2020-02-28T09:30"),
    (
        "FREQ=WEEKLY;INTERVAL=2;WKST=SU;BYDAY=SU,MO",
        "2020-02-28T09:30",
    ),
    (
        "FREQ=WEEKLY;INTERVAL=3;WKST=WE;BYDAY=TU,WE;BYMONTH=3,12",
        "2020-02-28T09:30",
    ),
    ("FREQ=MONTHLY", "2020-01-31T09:30:15"),
    ("FREQ=MONTHLY;INTERVAL=5", "2020-01-15T00:00"),
    ("FREQ=MONTHLY;BYDAY=1MO", "2020-01-15T00:00"),
    ("FREQ=MONTHLY;BYDAY=-1FR,2TU", "2020-01-15T00:00"),
    ("FREQ=MONTHLY;BYDAY=5SA", "2020-01-15T00:00"),
    ("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", "2020-01-15T00:00"),
    ("FREQ=MONTHLY;BYMONTHDAY=-1,1,31", "2020-01-15T00:00"),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1",
        "2020-01-15T00:00",
    ),
    (
        "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1,-2;BYHOUR=8,20",
        "2020-01-01T00:00",
    ),
    ("FREQ=YEARLY", "2020-02-29T12:00"),
    ("FREQ=YEARLY;INTERVAL=3", "2020-03-01T12:00"),
    ("FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU", "2020-03-01T12:00"),
    ("FREQ=YEARLY;BYDAY=20MO", "2020-03-01T12:00"),
    ("FREQ=YEARLY;BYDAY=-1MO,TH;BYSETPOS=1", "2020-01-01T12:00"),
    ("FREQ=YEARLY;BYYEARDAY=1,100,-1", "2020-03-01T12:00"),
    ("FREQ=YEARLY;BYWEEKNO=1,20,-1;BYDAY=MO", "2020-01-01T12:00"),
    (
        "FREQ=YEARLY;BYWEEKNO=1,30;BYDAY=SU;WKST=SU",
        "2020-01-01T12:00",
    ),
    ("FREQ=YEARLY;BYMONTHDAY=29;BYMONTH=2", "2020-01-01T12:00"),
    ("FREQ=HOURLY;INTERVAL=7", "2020-02-28T09:30"),
    (
        "FREQ=HOURLY;BYHOUR=9,10;BYMINUTE=0,20,40;BYDAY=MO",
        "2020-02-28T09:30",
    ),
    ("FREQ=MINUTELY;INTERVAL=45", "2020-02-28T09:30"),
    ("FREQ=MINUTELY;BYHOUR=9;BYMINUTE=1,2", "2020-02-28T09:30"),
    ("FREQ=HOURLY;INTERVAL=5;BYMONTHDAY=1", "2020-02-28T09:30"),
];

fn second_opinion(text: &str, start: &str) -> Vec<String> {
    let start: NaiveDateTime = super::super::zone::parse_local("", start).unwrap();
    let start = start.and_utc().with_timezone(&rrule::Tz::UTC);
    let read: RRule<Unvalidated> = text.parse().unwrap();
    let set = RRuleSet::new(start).rrule(read.validate(start).unwrap());
    let shown = |at: chrono::DateTime<rrule::Tz>| at.format("%Y-%m-%dT%H:%M:%S").to_string();
    set.into_iter().take(60).map(shown).collect()
}

#[test]
fn expansion_agrees_with_the_library() {
    for (text, start) in AGREED {
        // The library may go on for centuries; what is compared ends with our horizon.
        let mut expected = second_opinion(text, start);
        expected.retain(|local| local.as_str() < "2059");
        let schedule = rule(text, start, "UTC");
        let found = schedule.occurrences(at("2019-01-01T00:00:00Z"), expected.len());
        assert_eq!(locals(&found), expected, "{text}");
        // Asked in the middle, a rule gives what it gives when walked through.
        for pair in found.windows(2) {
            let next = schedule.next_after(pair[1].at_micros - 1).unwrap();
            assert_eq!(next.at_micros, pair[1].at_micros, "{text}");
        }
    }
}

#[test]
fn a_fifty_third_week_may_end_in_the_next_year() {
    // Weeks from Sunday: 2025 has 53 of them, 2026 has 52. The library finds one in both.
    let list = rule(
        "FREQ=YEARLY;BYWEEKNO=53;BYDAY=SA;WKST=SU",
        "2021-06-01T12:00",
        "UTC",
    );
    let list = list.occurrences(at("2021-06-01T00:00:00Z"), 2);
    assert_eq!(
        locals(&list),
        ["2026-01-03T12:00:00", "2032-01-03T12:00:00"]
    );
}

#[test]
fn plain_and_numbered_weekdays_are_alternatives() {
    let list = rule("FREQ=MONTHLY;BYDAY=1TU,FR", "2026-01-01T08:00", "UTC");
    let list = list.occurrences(at("2026-01-01T00:00:00Z"), 3);
    let expected = [
        "2026-01-02T08:00:00",
        "2026-01-06T08:00:00",
        "2026-01-09T08:00:00",
    ];
    assert_eq!(locals(&list), expected);
}

#[test]
fn count_counts_before_exceptions_are_taken_away() {
    let schedule = Schedule::Recurrence {
        rrule: "FREQ=DAILY;COUNT=4".to_owned(),
        start: "2026-01-01T08:00".to_owned(),
        zone: "Europe/Berlin".to_owned(),
        except: vec!["2026-01-02".to_owned(), "2026-01-04T08:00".to_owned()],
        extra: vec![
            "2026-02-01".to_owned(),
            "2026-01-02T10:00".to_owned(),
            "2026-01-01T08:00".to_owned(),
        ],
    };
    let list = schedule.compile().unwrap().occurrences(0, 100);
    let expected = [
        "2026-01-01T08:00:00",
        "2026-01-03T08:00:00",
        "2026-02-01T08:00:00",
    ];
    assert_eq!(locals(&list), expected);
}

#[test]
fn until_is_honoured_in_each_of_its_forms() {
    for (until, last) in [
        ("20260103", "2026-01-03T08:00:00"),
        ("20260103T080000", "2026-01-03T08:00:00"),
        ("20260103T075959", "2026-01-02T08:00:00"),
        ("20260103T070000Z", "2026-01-03T08:00:00"),
        ("20260103T065959Z", "2026-01-02T08:00:00"),
    ] {
        let text = format!("FREQ=DAILY;UNTIL={until}");
        let list = rule(&text, "2026-01-01T08:00", "Europe/Berlin").occurrences(0, 100);
        assert_eq!(locals(&list).last(), Some(&last), "{until}");
    }
}

#[test]
fn minutely_rules_keep_their_step_inside_chosen_hours() {
    // Ninety minutes from midnight pass nine o'clock exactly, every day.
    let list = rule(
        "FREQ=MINUTELY;INTERVAL=90;BYHOUR=9,10",
        "2026-01-01T00:00",
        "UTC",
    );
    let list = list.occurrences(at("2026-01-01T00:00:00Z"), 3);
    let expected = [
        "2026-01-01T09:00:00",
        "2026-01-01T10:30:00",
        "2026-01-02T09:00:00",
    ];
    assert_eq!(locals(&list), expected);
}

#[test]
fn a_start_far_in_the_past_or_future_is_no_burden() {
    let old = rule("FREQ=MINUTELY", "1900-01-01T00:00", "UTC");
    let next = old.next_after(at("2026-05-05T05:05:05Z")).unwrap();
    assert_eq!(next.local, "2026-05-05T05:06:00");
    let far = rule("FREQ=YEARLY", "2900-02-03T04:05", "UTC");
    assert_eq!(far.next_after(0).unwrap().local, "2900-02-03T04:05:00");
}

#[test]
fn rules_that_cannot_be_meant_are_refused() {
    for (text, reason) in [
        ("FREQ=SECONDLY", "at most once a minute"),
        ("FREQ=DAILY;BYSECOND=0,30", "more than once a minute"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;INTERVAL=99999", "INTERVAL"),
        ("FREQ=DAILY;COUNT=0", "COUNT"),
        ("FREQ=DAILY;COUNT=3;UNTIL=20300101", "both end"),
        ("FREQ=DAILY;UNTIL=yesterday", "UNTIL"),
        ("FREQ=DAILY;UNTIL=20251231", "never fire"),
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "never fire"),
        ("FREQ=MONTHLY;BYDAY=MO;BYSETPOS=6", "never fire"),
        ("FREQ=HOURLY;INTERVAL=2;BYHOUR=1", "never fire"),
        ("FREQ=MINUTELY;INTERVAL=2;BYMINUTE=1", "never fire"),
        ("FREQ=HOURLY;BYMINUTE=1;BYSETPOS=1", "BYSETPOS"),
        ("FREQ=WEEKLY;BYDAY=1MO", "numbered"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("BYDAY=MO", "FREQ is missing"),
        ("FREQ=DAILY\nDTSTART:20260101T000000", "one line"),
        ("FREQ=FORTNIGHTLY", ""),
        ("FREQ=DAILY;BYHOUR=24", ""),
        ("FREQ=DAILY;BYHOUR=", ""),
        ("FREQ=MONTHLY;BYDAY=MO,\u{fffd}U,WE", "no rule has"),
        ("FREQ=DAILY;COUNT=\u{663}", "no rule has"),
        ("", "FREQ is missing"),
    ] {
        let error = rule_of(text, "2026-01-01T00:00", "UTC").compile();
        let error = error.expect_err(text);
        assert_eq!(error.field, "/rrule");
        assert!(error.reason.contains(reason), "{text}: {}", error.reason);
    }
    let error = rule_of("FREQ=DAILY;BYDAYS=MO", "2026-01-01T00:00", "UTC").compile();
    assert_eq!(error.unwrap_err().suggestion.as_deref(), Some("BYDAY"));
}
