//! Owns the tests that span forms of schedules. The judge of clock changes is in `brute`.

#![allow(clippy::unwrap_used)]

mod brute;
mod definitions;
mod forms;
mod jumps;
mod matrix;
mod random;
mod rules;

use super::{CompiledSchedule, Occurrence, Schedule};

/// Microseconds of an instant written in RFC 3339.
fn at(text: &str) -> i64 {
    super::zone::parse_instant(text).unwrap()
}

fn cron_of(expression: &str, zone: &str) -> Schedule {
    Schedule::Cron {
        expression: expression.to_owned(),
        zone: zone.to_owned(),
    }
}

fn cron(expression: &str, zone: &str) -> CompiledSchedule {
    cron_of(expression, zone).compile().unwrap()
}

fn rule_of(rrule: &str, start: &str, zone: &str) -> Schedule {
    Schedule::Recurrence {
        rrule: rrule.to_owned(),
        start: start.to_owned(),
        zone: zone.to_owned(),
        except: Vec::new(),
        extra: Vec::new(),
    }
}

fn rule(rrule: &str, start: &str, zone: &str) -> CompiledSchedule {
    rule_of(rrule, start, zone).compile().expect(rrule)
}

fn locals(list: &[Occurrence]) -> Vec<&str> {
    list.iter().map(|one| one.local.as_str()).collect()
}
