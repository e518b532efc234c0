//! Owns the tests over made-up definitions, from a fixed seed so that a failure comes back.

use super::{at, cron_of, locals, rule_of};
use crate::schedule::zone::parse_local;
use rrule::{RRule, RRuleSet, Unvalidated};

/// A xorshift generator: all that is asked of it is to be the same on every machine.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }

    fn one<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }

    fn some(&mut self, list: &[&str]) -> String {
        let count = 1 + self.below(3);
        let chosen: Vec<&str> = (0..count).map(|_| self.one(list)).collect();
        chosen.join(",")
    }
}

const LONG: [&str; 4] = ["YEARLY", "MONTHLY", "WEEKLY", "DAILY"];
const SHORT: [&str; 2] = ["HOURLY", "MINUTELY"];
const STARTS: [&str; 3] = ["2020-02-29T00:30", "2020-01-01T00:00", "2021-12-31T23:59"];

/// A rule in which every part may stand where it is put.
fn sensible_rule(dice: &mut Dice) -> String {
    let freq = match dice.below(3) {
        0 => dice.one(&SHORT),
        _ => dice.one(&LONG),
    };
    let counts_weekdays = matches!(freq, "YEARLY" | "MONTHLY");
    let steps = if freq == "YEARLY" { 2 } else { 12 };
    let mut rule = format!("FREQ={freq};INTERVAL={}", 1 + dice.below(steps));
    let mut maybe = |may: bool, name: &str, list: &[&str]| {
        let given = may && dice.below(3) == 0;
        if given {
            rule.push_str(&format!(";{name}={}", dice.some(list)));
        }
        given
    };
    maybe(true, "BYMONTH", &["1", "2", "5", "12"]);
    let numbered = maybe(counts_weekdays, "BYDAY", &["1MO", "-1FR", "2TU", "-2SU"]);
    let plain = maybe(!numbered, "BYDAY", &["MO", "TU", "SA", "SU", "FR"]);
    let month_days = ["1", "-1", "15", "31", "-31", "29", "10"];
    maybe(freq != "WEEKLY", "BYMONTHDAY", &month_days);
    maybe(
        freq == "YEARLY",
        "BYYEARDAY",
        &["1", "-1", "200", "366", "60"],
    );
    maybe(freq != "MINUTELY", "BYMINUTE", &["0", "10", "59"]);
    maybe(LONG.contains(&freq), "BYHOUR", &["0", "10", "23"]);
    let positions = counts_weekdays && (numbered || plain);
    maybe(positions, "BYSETPOS", &["1", "-1", "3", "2"]);
    if dice.below(3) == 0 {
        rule.push_str(";WKST=SU");
    }
    rule
}

#[test]
fn sensible_rules_agree_with_the_library() {
    let mut dice = Dice(1_234_567_891_011);
    let mut agreed = 0;
    for _ in 0..800 {
        let (text, start) = (sensible_rule(&mut dice), dice.one(&STARTS));
        let Ok(schedule) = rule_of(&text, start, "UTC").compile() else {
            continue;
        };
        let ours = schedule.occurrences(0, 20);
        let start = parse_local("", start).unwrap().and_utc();
        let start = start.with_timezone(&rrule::Tz::UTC);
        let read: RRule<Unvalidated> = text.parse().unwrap();
        let set = RRuleSet::new(start).rrule(read.validate(start).unwrap());
        let theirs: Vec<String> = (set.limit().into_iter().take(ours.len()))
            .map(|at| at.format("%Y-%m-%dT%H:%M:%S").to_string())
            .collect();
        assert_eq!(locals(&ours), theirs, "{text} from {start}");
        agreed += 1;
    }
    assert!(agreed > 600, "only {agreed} rules could be compared");
}

#[test]
fn nonsense_is_refused_or_fires_in_order_but_never_panics() {
    const WORDS: [&str; 28] = [
        "*", "/", "-", ",", "L", "W", "#", "0", "1", "5", "59", "60", "MON", "FRI", "JAN", " ",
        " ", " ", " ", "?", "@daily", "99999", "é", "65535", "*/", "L-3", "6#5", "*/7",
    ];
    const NAMES: [&str; 13] = [
        "UNTIL",
        "COUNT",
        "INTERVAL",
        "BYSECOND",
        "BYMINUTE",
        "BYHOUR",
        "BYDAY",
        "BYMONTHDAY",
        "BYYEARDAY",
        "BYWEEKNO",
        "BYMONTH",
        "BYSETPOS",
        "WKST",
    ];
    const VALUES: [&str; 22] = [
        "0",
        "1",
        "-1",
        "2",
        "13",
        "31",
        "-31",
        "53",
        "-53",
        "366",
        "MO",
        "1MO",
        "-1FR",
        "53SU",
        "20300101",
        "20300101T000000Z",
        "99999999999",
        "-",
        "é",
        "+1",
        "23",
        "100",
    ];
    let mut dice = Dice(88_172_645_463_325_252);
    let after = at("2026-04-04T00:00:00Z");
    for _ in 0..4_000 {
        let count = 1 + dice.below(12);
        let cron: String = (0..count).map(|_| dice.one(&WORDS)).collect();
        let mut rule = format!("FREQ={}", dice.one(&LONG));
        for _ in 0..dice.below(4) {
            let (name, value) = (dice.one(&NAMES), dice.some(&VALUES));
            rule.push_str(&format!(";{name}={value}"));
        }
        for schedule in [
            cron_of(&cron, "America/Santiago"),
            rule_of(&rule, "2020-02-29T00:30", "America/Santiago"),
        ] {
            let Ok(compiled) = schedule.compile() else {
                continue;
            };
            let list = compiled.occurrences(after, 3);
            assert!(list.is_sorted_by(|one, other| one.at_micros < other.at_micros));
            assert!(list.iter().all(|one| one.at_micros > after));
        }
    }
}
